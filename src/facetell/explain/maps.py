# SPDX-License-Identifier: Apache-2.0
"""What an explanation is: raw maps by method and layer, each with a status."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import interpolate

INPUT = "input"  # the layer of a map that belongs to the image itself

OK = "ok"
ALL_ZERO = "all zero"
GRADIENT_ZERO = "gradient zero"  # the score does not depend on the layer at any position
NOT_FINITE = "not finite"
INCOMPLETE = "incomplete"  # the map's sum misses what it should be
GUIDED_EQUALS_GRADIENT = "guided equals gradient"  # no activation that the rule could change


@dataclass
class Explanation:
    """Explanations of a batch; nothing is normalised, and signs are kept.

    Attributes
    ----------
    target : what positive relevance speaks for, "fake" or "real".
    maps : ``maps[method][layer]`` (B, h, w) at the layer's own resolution, float32 (float64 for
        float64 images), before a method's closing ReLU unless that was asked for.
    status : ``status[method][layer]`` (B,) of str: "ok", or why the map is not to be believed.
    saliency : (B, H, W) >= 0, whatever the methods; (B, 0, 0) where it was not wanted.
    margin : (B,) fake logit - real logit, whatever the target.
    titles : for each method its name in words, as a figure should print it.

    >>> from facetell.explain import explain
    >>> from facetell.models import build
    >>> found = explain(build("simplenet", image_size=64), torch.rand(2, 3, 64, 64))
    >>> len(found), found.target, found.titles["gradcam"]
    (2, 'fake', 'Grad-CAM')
    >>> found.status["gradcam"]["conv1"].tolist()
    ['ok', 'ok']
    """

    target: str
    maps: dict[str, dict[str, np.ndarray]]
    status: dict[str, dict[str, np.ndarray]]
    saliency: np.ndarray
    margin: np.ndarray
    titles: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.margin)


def judge(maps: torch.Tensor, gradient_zero: torch.Tensor | None = None) -> np.ndarray:
    """Status of each of (B, h, w) maps; ``gradient_zero`` bool (B,) is the reason of zeros."""
    flat = maps.detach().flatten(1)
    found = np.full(len(flat), OK, dtype="<U24")
    found[(flat == 0).all(1).cpu().numpy()] = ALL_ZERO
    if gradient_zero is not None:
        found[gradient_zero.cpu().numpy()] = GRADIENT_ZERO
    found[~flat.isfinite().all(1).cpu().numpy()] = NOT_FINITE
    return found


def enlarge(maps: np.ndarray, size: int) -> np.ndarray:
    """Bilinear enlargement of maps (..., h, w) to float32 (..., size, size).

    Both the figures and every score of a map use this one. Maps that have that size are kept.

    >>> enlarge(np.array([[0.0, 1.0]]), 4)[0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    maps = np.ascontiguousarray(maps, dtype=np.float32)
    if maps.shape[-2:] == (size, size):
        return maps
    wide = interpolate(
        torch.from_numpy(maps).reshape(-1, 1, *maps.shape[-2:]), (size, size), mode="bilinear"
    )
    return wide.numpy().reshape(*maps.shape[:-2], size, size)


def believable(
    explanation: Explanation,
) -> dict[str, dict[str, np.ndarray]]:
    """The maps, with zeros in place of those whose status is not "ok".

    A measure counts a map of zeros as one that finds nothing. Without this, a map that its own
    status warns of would be scored, and perhaps believed.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for method, layers in explanation.maps.items():
        found[method] = {}
        for layer, maps in layers.items():
            fine = explanation.status[method][layer] == OK
            found[method][layer] = np.where(fine[:, None, None], maps, maps.dtype.type(0))
    return found
