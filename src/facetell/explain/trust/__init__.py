# SPDX-License-Identifier: Apache-2.0
"""Whether a map can be believed: planted truth, faithfulness, sanity, stability."""
