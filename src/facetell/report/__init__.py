# SPDX-License-Identifier: Apache-2.0
"""Tables, figures and text over all models, beside the published results."""
