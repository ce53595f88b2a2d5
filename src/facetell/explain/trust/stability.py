# SPDX-License-Identifier: Apache-2.0
"""Does a map stay when the picture hardly changes, and change when the verdict does?

Max-sensitivity: Yeh et al., "On the (In)fidelity and Sensitivity of Explanations" (NeurIPS 2019).
The change under a perturbation (a blur, say) is reported beside the change of the margin: a map
may move as far as the verdict does, but not on its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from facetell.common.seeding import seed_of
from facetell.explain.trust.faithfulness import Score
from facetell.explain.trust.sanity import rank_correlation

Maps = Callable[[torch.Tensor], Mapping[Any, np.ndarray]]
RADIUS = 0.02  # of the range [0, 1]: about 5 grey levels


def max_sensitivity(
    maps: Maps,
    images: torch.Tensor,
    ids: Sequence[object],
    *,
    draws: int,
    seed: int,
    radius: float = RADIUS,
) -> dict[Any, np.ndarray]:
    """Largest relative change of each map when every pixel moves by at most ``radius``, (B,) each.

    ``maps`` turns images (B, 3, S, S) into one or more maps (B, h, w), by name, so that one pass
    serves all. The change is the Euclidean distance over the map's own length, the largest of
    ``draws`` uniform perturbations, which depend on ``seed`` and the image's id. 0 is best; about
    1.4 is what unrelated maps of the same length have. NaN where a map is all zero.
    """
    before = maps(images)
    largest: dict[Any, np.ndarray] = {}
    for draw in range(draws):
        noise = np.stack([_uniform(images.shape[1:], seed_of(seed, name, draw)) for name in ids])
        moved = images + radius * torch.from_numpy(noise).to(images)
        for name, after in maps(moved).items():
            change = relative_change(before[name], after)
            largest[name] = np.maximum(largest.get(name, change), change)
    return largest


def relative_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Distance of maps (B, h, w) over the length of the first, (B,); NaN where that is 0."""
    distance = np.linalg.norm((after - before).reshape(len(before), -1).astype(float), axis=1)
    length = np.linalg.norm(before.reshape(len(before), -1).astype(float), axis=1)
    return np.divide(distance, length, out=np.full(len(length), np.nan), where=length > 0)


def under_change(
    maps: Maps, score: Score, images: torch.Tensor, changed: torch.Tensor, threshold: float
) -> tuple[dict[Any, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """How maps and margins go from ``images`` to ``changed``, such as the same ones blurred.

    Returns
    -------
    per map : ``change`` (relative distance) and ``spearman`` (rank correlation), each (B,).
    of the score : ``margin``, ``margin_changed``, ``margin_change`` (the second minus the first)
        and ``flipped`` (1.0 where the verdict at ``threshold`` became another), each (B,).
    """
    before, after = maps(images), maps(changed)
    changes = {
        name: {
            "change": relative_change(values, after[name]),
            "spearman": rank_correlation(values, after[name]),
        }
        for name, values in before.items()
    }
    with torch.no_grad():
        first, second = (
            torch.as_tensor(score(pixels)).cpu().double().numpy() for pixels in (images, changed)
        )
    return changes, {
        "margin": first,
        "margin_changed": second,
        "margin_change": second - first,
        "flipped": ((first >= threshold) != (second >= threshold)).astype(float),
    }


def _uniform(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)
