# SPDX-License-Identifier: Apache-2.0
"""Detectors: networks by name, their weights and cards, and the margins that they give."""

from facetell.common.vision import compiler_put_off

with compiler_put_off():  # before any module of ours does
    import timm  # noqa: F401

from facetell.models.factory import OURS, build, head_of, parameter_count

__all__ = ["OURS", "build", "head_of", "parameter_count"]
