# SPDX-License-Identifier: Apache-2.0
"""Detectors: networks by name, their weights and cards, and the margins that they give."""

from facetell.models.factory import OURS, build, head_of, parameter_count

__all__ = ["OURS", "build", "head_of", "parameter_count"]
