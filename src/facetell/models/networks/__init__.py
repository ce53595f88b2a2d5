# SPDX-License-Identifier: Apache-2.0
"""Networks that timm does not have; each module registers its own with timm."""
