# SPDX-License-Identifier: Apache-2.0
"""Maps against the truth: how much of the relevance lies where the artefacts were planted.

Relevance mass accuracy and relevance rank accuracy: Arras et al., "CLEVR-XAI" (Information Fusion
2022). Pointing game with a tolerance of 15 pixels in 224: Zhang et al., "Top-down Neural Attention
by Excitation Backprop" (IJCV 2018). Only what speaks for fake counts: the positive part of a map.
Equal values are given every order with the same probability, and what is returned is the
expectation over these, so that no place of the picture is favoured.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, sobel
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.explain.maps import enlarge
from facetell.images.spectra import LUMA

TOLERANCE = 15 / 224  # of the side
METRICS = ("rma", "rra", "pointing", "pointing_near")
METRIC = "rra"  # the one that choice and belief rest on
LEAST = 8  # fakes that must pass the gate before anything is said of maps
RECOGNISED, GUESSED = 0.95, 0.05  # accuracy with artefacts; how far from one half without
_LUMA = np.array(LUMA)


def mass_accuracy(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the positive relevance that lies inside the masks, (B,) in [0, 1].

    ``maps`` (B, S, S), ``masks`` bool (B, S, S). Chance is the mask's share of the area; a map
    without positive relevance counts as 0.
    """
    positive = np.clip(maps, 0, None, dtype=np.float64)
    total = positive.sum(axis=(1, 2))
    inside = (positive * masks).sum(axis=(1, 2))
    return np.divide(inside, total, out=np.zeros_like(total), where=total > 0)


def rank_accuracy(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the K most relevant pixels that lie inside a mask of K pixels, in [0, 1].

    ``maps`` (B, S, S), each with several ``masks``, bool (B, M, S, S); returns (B, M). Chance and
    maps without positive relevance as in ``mass_accuracy``.
    """
    values = np.clip(maps, 0, None).reshape(len(maps), -1)
    inside = masks.reshape(*masks.shape[:2], -1)
    shares = np.zeros(masks.shape[:2])
    for row, value in enumerate(values):
        ordered = np.sort(value)[::-1]
        if ordered[0] <= 0:
            continue
        for column, mask in enumerate(inside[row]):
            count = int(mask.sum())
            if count:
                last, within = ordered[count - 1], value[mask]
                above, level = (ordered > last).sum(), (ordered == last).sum()
                chance = (count - above) / level  # of a tied pixel, to be among the K
                inside_of_k = (within > last).sum() + chance * (within == last).sum()
                shares[row, column] = inside_of_k / count
    return shares


def pointing(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the most relevant pixel lies inside the mask, (B,); with ties, how probably.

    Shapes, chance and maps without positive relevance as in ``mass_accuracy``.
    """
    highest = maps.max(axis=(1, 2), keepdims=True)
    peak = (maps == highest) & (highest > 0)
    hits = (peak & masks).sum(axis=(1, 2))
    return hits / np.maximum(1, peak.sum(axis=(1, 2)))


def near(masks: np.ndarray) -> np.ndarray:
    """Masks (B, S, S) with all pixels whose centre lies within ``TOLERANCE`` sides of one of
    theirs."""
    reach = TOLERANCE * masks.shape[-1]
    return np.stack(
        [distance_transform_edt(~mask) <= reach if mask.any() else mask for mask in masks]
    )


def gated(with_: np.ndarray, without: np.ndarray | None, threshold: float) -> np.ndarray:
    """Which fakes are fake to the model because of what was planted, bool (B,).

    ``with_`` and ``without`` (B,) are the margins of the fake and of its twin, the same rendering
    without artefacts. The first must be fake with a probability of at least 0.95, the verdict on
    the second real: elsewhere there is little to find. Without twins (None) the first alone
    counts, and whether what was planted is the reason remains open.

    >>> gated(np.array([4.0, 4.0, 1.0]), np.array([-1.0, 2.0, -1.0]), threshold=0.0).tolist()
    [True, False, False]
    """
    sure = np.asarray(with_) >= max(threshold, float(logit(RECOGNISED)))
    return sure if without is None else sure & (np.asarray(without) < threshold)


def model_gate(
    real: np.ndarray, with_: np.ndarray, without: np.ndarray | None, threshold: float
) -> dict[str, float | bool]:
    """Whether a model tells fakes by the artefacts and by nothing else.

    ``real`` margins of real images, ``with_`` and ``without`` those of fakes and their twins.
    Accuracy has both classes count alike, and twins in place of fakes should leave it at one half.
    ``passed`` asks for at least 0.95 with artefacts and within 0.05 of one half without; without
    twins (None) nothing is said of them, and the gate is not passed.
    """
    right = float(np.mean(np.asarray(real) < threshold))
    result: dict[str, float | bool] = {}
    for name, margins in {"with": with_, "without": without}.items():
        if margins is None:
            continue
        share = float(np.mean(np.asarray(margins) >= threshold))
        result[f"accuracy_{name}"] = (right + share) / 2
        labels = np.repeat([0, 1], [len(real), len(margins)])
        result[f"auc_{name}"] = float(roc_auc_score(labels, np.concatenate([real, margins])))
    result["passed"] = (
        without is not None
        and result["accuracy_with"] >= RECOGNISED
        and abs(result["accuracy_without"] - 0.5) <= GUESSED
    )  # fmt: skip
    return result


def baselines(images: np.ndarray, ids: Sequence[object], *, seed: int) -> dict[str, np.ndarray]:
    """Maps that know nothing of any model, each float32 (B, S, S).

    ``random`` is uniform noise, seeded by ``seed`` and the image's id; ``centre`` a Gaussian in
    the middle, a quarter of the side wide (its standard deviation); ``edges`` the Sobel magnitude
    of the luma. ``images`` are RGB (B, 3, S, S) of any scale.
    """
    size = images.shape[-1]
    noise = [np.random.default_rng(seed_of(seed, "map", name)).random((size, size)) for name in ids]
    away = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-0.5 * (away / 0.25) ** 2)
    luma = np.tensordot(np.asarray(images, dtype=np.float64), _LUMA, axes=(1, 0))
    edges = np.hypot(sobel(luma, axis=1), sobel(luma, axis=2))
    maps = {
        "random": np.stack(noise),
        "centre": np.broadcast_to(np.outer(bell, bell), luma.shape),
        "edges": edges,
    }
    return {name: values.astype(np.float32) for name, values in maps.items()}


def scores(maps: np.ndarray, masks: np.ndarray, surroundings: np.ndarray) -> dict[str, np.ndarray]:
    """The four ``METRICS`` of each map with each of its masks, and what an even map would get:
    ``area`` and ``area_near``, the shares of the masks and of their surroundings; (B, M) each.

    Maps of any size (B, h, w) are enlarged to the size of the ``masks``, bool (B, M, S, S), and of
    their ``surroundings`` (``near``).

    >>> mask = np.zeros((1, 1, 4, 4), dtype=bool)
    >>> mask[..., :2, :2] = True
    >>> found = scores(mask[:, 0].astype(float), mask, near(mask[:, 0])[:, None])
    >>> float(found["rra"][0, 0]), float(found["area"][0, 0])
    (1.0, 0.25)

    Raises
    ------
    UserError : sizes do not fit or a value is not finite.
    """
    if masks.ndim != 4 or len(maps) != len(masks):
        raise UserError(
            f"each map needs its masks (B, M, S, S); got {len(maps)} maps and masks {masks.shape}"
        )
    if not np.isfinite(maps).all():
        raise UserError("a map with values that are not finite has no relevance to measure")
    large = enlarge(maps, masks.shape[-1])
    columns = range(masks.shape[1])
    return {
        "rma": np.stack([mass_accuracy(large, masks[:, k]) for k in columns], axis=1),
        "rra": rank_accuracy(large, masks),
        "pointing": np.stack([pointing(large, masks[:, k]) for k in columns], axis=1),
        "pointing_near": np.stack([pointing(large, surroundings[:, k]) for k in columns], axis=1),
        "area": masks.mean(axis=(2, 3)),
        "area_near": surroundings.mean(axis=(2, 3)),
    }
