# SPDX-License-Identifier: Apache-2.0
"""Do maps of spliced photos look at what was replaced, more than at what was kept?

Experts put parts of other photos into the fakes of ciplab, and each fake says which of the eyes,
nose and mouth they are. Both eyes, nose and mouth are in every face, so parts that were kept are
what the replaced ones are compared with, on the same image: a map that likes mouths, or faces,
gains nothing by that.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.progress import progress, worked
from facetell.explain.engine import explain
from facetell.explain.maps import believable, enlarge
from facetell.explain.registry import cost
from facetell.explain.survey.regions import REGIONS, labels
from facetell.explain.test_set import TestSet
from facetell.explain.trust.image_means import ImageMeans, Key
from facetell.explain.trust.planted import LEAST
from facetell.metrics.simultaneous import Means

ORGANS = ("left_eye", "right_eye", "nose", "mouth")  # as ciplab's manifest names them
FRAME = "ffhq"  # whose outlines fit photos of single faces; roughly, where they are not aligned
BATCH = 8  # few images of many maps: processes share them


def organs(size: int) -> dict[str, np.ndarray]:
    """Each of ``ORGANS`` in a photo, bool (size, size).

    The left eye is taken for the one in the picture's left half; the set does not say which is
    meant.
    """
    region, left = labels(size, FRAME), np.arange(size) < size / 2
    eyes, nose, mouth = (region == REGIONS.index(name) for name in ("eyes", "nose", "mouth"))
    return dict(zip(ORGANS, (eyes & left, eyes & ~left, nose, mouth), strict=True))


def densities(maps: np.ndarray, replaced: Sequence[str]) -> dict[str, np.ndarray]:
    """Relevance in the replaced and in the kept organs of each image, over their area, (B,) each.

    ``maps`` (B, S, S); ``replaced`` are names of ``ORGANS`` joined by "+", some of them but not
    all. ``share_replaced`` and ``share_kept`` of the image's relevance (the positive part of a
    map); ``replaced`` and ``kept``, the same in multiples of the share of the area, of which an
    even map has 1; and their ``difference``. An image without relevance has 0.

    >>> found = densities(np.ones((1, 64, 64)), ["nose+left_eye"])
    >>> [round(float(found[name][0]), 6) for name in ("replaced", "kept", "difference")]
    [1.0, 1.0, 0.0]
    """
    known = organs(maps.shape[-1])
    relevance = np.clip(maps, 0, None, dtype=np.float64)
    total = relevance.sum(axis=(1, 2))
    found: dict[str, np.ndarray] = {}
    for part in ("replaced", "kept"):
        masks = np.stack([_mask(names, known, part == "replaced") for names in replaced])
        inside = (relevance * masks).sum(axis=(1, 2))
        share = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
        found |= {f"share_{part}": share, part: share / masks.mean(axis=(1, 2))}
    return found | {"difference": found["replaced"] - found["kept"]}


def _mask(names: str, known: dict[str, np.ndarray], replaced: bool) -> np.ndarray:
    own = set(names.split("+"))
    if wrong := own - set(ORGANS):
        raise UserError(f"unknown replaced regions {sorted(wrong)}; there are {ORGANS}")
    chosen = [mask for name, mask in known.items() if (name in own) == replaced]
    if not chosen or not np.any(chosen):
        raise UserError("a comparison needs replaced and kept regions, with pixels in each")
    return np.any(chosen, axis=0)


def compared(tested: TestSet, most: int) -> list[int]:
    """Which fakes can be compared: the first ``most`` of those that the detector calls fake, and
    of which some organs were replaced and some kept. None where these are fewer than ``LEAST``, or
    of one person, or where no fake says what was replaced."""
    count = tested.manifest["regions"].map(lambda names: len(set(names.split("+")) - {""}))
    usable = (count > 0) & (count < len(ORGANS)) & (tested.labels == 1)
    rows = np.flatnonzero(usable & (tested.margins >= tested.threshold)).tolist()[:most]
    return rows if len(rows) >= LEAST and len(set(tested.persons[rows])) > 1 else []


def replaced_regions(tested: TestSet, *, methods: Sequence[str], most: int) -> pd.DataFrame:
    """Relevance in replaced against kept regions, for every method at every layer.

    Parameters
    ----------
    methods : names of methods that are defined for the detector.
    most : fakes at most.

    Returns
    -------
    Frame, a row per method and layer in forward order: ``n`` images, ``persons``; what
    ``densities`` gives, means with 95% intervals by person (``_low``, ``_high``); and ``p`` of no
    difference, two-sided, corrected for the number of maps (``facetell.metrics.simultaneous``).
    Empty where too few fakes can be compared.
    """
    rows = compared(tested, most)
    means = ImageMeans(("method", "layer"), resamples=tested.resamples, seed=tested.seed)
    names, size = tested.manifest["regions"], tested.images.size
    parts = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def look(part: list[int]) -> dict[Key, dict[str, np.ndarray]]:
        seen = explain(tested.detector, tested.batch(part), methods=methods, seed=tested.seed)
        return {
            (method, layer): densities(enlarge(maps, size), names.iloc[part].tolist())
            for method, by_layer in believable(seen).items()
            for layer, maps in by_layer.items()
        }

    looked = tested.world.dealt(look, parts)
    if parts:
        looked = progress(looked, "replaced regions", len(parts))
    for part, found in zip(parts, looked, strict=True):
        means.add_all(found, tested.persons[part].tolist())
        worked(cost(methods) * len(part))
    keys = list(means)
    if not keys:
        return pd.DataFrame()
    differences = np.stack([means.values(key)["difference"] for key in keys], axis=1)
    together = Means(
        differences, means.persons(keys[0]), resamples=tested.resamples, seed=tested.seed
    )
    return means.table().assign(p=together.p())
