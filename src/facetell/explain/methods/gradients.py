# SPDX-License-Identifier: Apache-2.0
"""Means of many gradients with respect to the image."""

import numpy as np
import torch

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.explain.maps import INCOMPLETE, INPUT
from facetell.explain.registry import Task, register

GAP = 0.05  # largest part of the relevance that may be missing from the sum


@register(
    "SmoothGrad",
    kind="input",
    source="Smilkov et al., SmoothGrad: removing noise by adding noise, 2017",
    signed=False,
)
def smoothgrad(task: Task, *, samples: int = 25, noise: float = 0.15) -> torch.Tensor:
    """Mean of |dS/dx| over noisy copies, then the largest over the colours.

    The absolute value comes before the mean: signs that change from copy to copy do not cancel.
    The standard deviation is ``noise`` of an image's range; the same draws serve every image.
    """
    if samples < 1 or noise <= 0:
        raise UserError(f"smoothgrad takes samples >= 1 and noise > 0, not {samples} and {noise}")
    x = task.images
    spread = noise * (x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True))
    draws = torch.Generator().manual_seed(seed_of("smoothgrad", task.seed))
    total = torch.zeros_like(x)
    for _ in range(samples):
        draw = torch.randn(x.shape[1:], generator=draws, dtype=torch.float64).to(x)
        total += task.gradient(x + spread * draw).abs()
    return (total / samples).amax(1)


@register(
    "integrated gradients",
    kind="input",
    source="Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017",
)
def integrated_gradients(task: Task, *, steps: int = 32, baseline: float = 0.0) -> torch.Tensor:
    """(x - x0) times the mean gradient on the straight path from x0, summed over the colours.

    The sum over the image is S(x) - S(x0), as nearly as ``steps`` Gauss-Legendre nodes allow; a
    map that misses it by more than a twentieth of its relevance is said to be incomplete.
    ``baseline`` is the value of every pixel of x0; 0 is black for a detector.
    """
    if steps < 1:
        raise UserError(f"integrated_gradients takes steps >= 1, not {steps}")
    x, x0 = task.images, torch.full_like(task.images, baseline)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        total += weight * task.gradient(x0 + node * (x - x0))
    map_ = ((x - x0) * total).sum(1)
    difference = task.score(x) - task.score(x0)
    gap = (map_.sum((1, 2)) - difference).abs() > GAP * map_.abs().sum((1, 2))
    task.say[INPUT] = np.where(gap.cpu().numpy(), INCOMPLETE, "")
    return map_
