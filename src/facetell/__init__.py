# SPDX-License-Identifier: Apache-2.0
"""facetell: train, stress-test and explain detectors of AI-generated faces."""

__version__ = "0.1.0"
