# SPDX-License-Identifier: Apache-2.0
"""Files of weights as others write them: what they hold, and whose names they use."""
