# SPDX-License-Identifier: Apache-2.0
"""From a detector to stored predictions and all numbers of it, clean and perturbed."""
