# SPDX-License-Identifier: Apache-2.0
"""What happens to images on their way: each perturbation is one function and one YAML line.

The functions stand in modules by kind. Five of them are those of the UIUC report (its Tables 3 and
4), which perturbs after the resize to the network's input; so do all others.
"""

from facetell.evaluation.perturbations import colour, degradation, frequency_filters, geometry
from facetell.evaluation.perturbations.registry import PERTURBATIONS, Variant, perturbation, suite

__all__ = [
    "PERTURBATIONS",
    "Variant",
    "colour",
    "degradation",
    "frequency_filters",
    "geometry",
    "perturbation",
    "suite",
]
