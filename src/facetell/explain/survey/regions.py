# SPDX-License-Identifier: Apache-2.0
"""Which parts of a face a detector looks at: relevance against area, in an aligned frame.

FFHQ photos, and all faces that StyleGANs made after them (140k among them), are cut by the same
rule (Karras et al. 2019, ``recreate_aligned_images``): with e the distance of the eyes and m that
from the eyes to the mouth, half a side is max(2 e, 1.8 m), and the centre lies 0.1 m below the
eyes. So the eyes lie a quarter of the side apart or less, between 0.47 and 0.48 from the top, and
the mouth at 0.75 or above. The outlines here follow from that and were checked on the mean of 400
faces of the 140k set. They say where a map is, not whether it is right.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.explain.maps import enlarge
from facetell.explain.trust.image_means import ImageMeans
from facetell.metrics.intervals import Resamples, interval

Outline = tuple[tuple[float, float], ...]  # corners (x, y), in sides from the left and the top
REGIONS = ("background", "hair", "ears", "skin", "brows", "eyes", "nose", "mouth")


def oval(x: float, y: float, rx: float, ry: float) -> Outline:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return tuple(zip((x + rx * np.cos(turn)).tolist(), (y + ry * np.sin(turn)).tolist(),
                     strict=True))  # fmt: skip


def _both(outline: Outline) -> tuple[Outline, Outline]:
    """An outline of the picture's left half, and its mirror image."""
    return outline, tuple((1 - x, y) for x, y in outline)


def box(left: float, top: float, right: float, bottom: float) -> Outline:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


# Later regions lie upon earlier ones; background is what remains: backdrop, neck and clothes.
_FFHQ: dict[str, tuple[Outline, ...]] = {
    "hair": (
        ((0.14, 0.50), (0.15, 0.32), (0.20, 0.18), (0.30, 0.08), (0.42, 0.025), (0.50, 0.02),
         (0.58, 0.025), (0.70, 0.08), (0.80, 0.18), (0.85, 0.32), (0.86, 0.50)),
    ),
    "ears": _both(oval(0.205, 0.56, 0.045, 0.10)),
    "skin": (
        ((0.24, 0.45), (0.25, 0.33), (0.30, 0.23), (0.38, 0.175), (0.50, 0.16), (0.62, 0.175),
         (0.70, 0.23), (0.75, 0.33), (0.76, 0.45), (0.755, 0.60), (0.73, 0.72), (0.66, 0.84),
         (0.58, 0.91), (0.50, 0.93), (0.42, 0.91), (0.34, 0.84), (0.27, 0.72), (0.245, 0.60)),
    ),
    "brows": _both(((0.27, 0.43), (0.29, 0.385), (0.36, 0.37), (0.45, 0.39), (0.455, 0.43))),
    "eyes": _both(oval(0.375, 0.473, 0.08, 0.042)),
    "nose": (((0.465, 0.45), (0.535, 0.45), (0.59, 0.62), (0.58, 0.655), (0.50, 0.67),
              (0.42, 0.655), (0.41, 0.62)),),
    "mouth": (oval(0.5, 0.742, 0.135, 0.062),),
}  # fmt: skip

# The renderer's own numbers: eyes at 0.47 and 0.119 beside the middle on average, brows at 0.408,
# wings of the nose at 0.62, lips at 0.735, outline and ears of `facetell.dataset.rendered.face`;
# widened by what pose and person move them. Ears reach down to where earrings hang.
_DEMO: dict[str, tuple[Outline, ...]] = {
    "hair": (
        ((0.245, 0.50), (0.23, 0.32), (0.265, 0.19), (0.34, 0.12), (0.42, 0.09), (0.50, 0.08),
         (0.58, 0.09), (0.66, 0.12), (0.735, 0.19), (0.77, 0.32), (0.755, 0.50)),
    ),
    "ears": _both(((0.215, 0.46), (0.235, 0.43), (0.265, 0.44), (0.28, 0.60), (0.275, 0.69),
                   (0.215, 0.69))),
    "skin": (
        ((0.265, 0.42), (0.285, 0.31), (0.34, 0.25), (0.50, 0.235), (0.66, 0.25), (0.715, 0.31),
         (0.735, 0.42), (0.73, 0.58), (0.70, 0.71), (0.645, 0.81), (0.56, 0.885), (0.50, 0.895),
         (0.44, 0.885), (0.355, 0.81), (0.30, 0.71), (0.27, 0.58)),
    ),
    "brows": _both(((0.295, 0.425), (0.31, 0.385), (0.38, 0.37), (0.45, 0.38), (0.455, 0.425))),
    "eyes": _both(oval(0.381, 0.472, 0.075, 0.043)),
    "nose": (((0.475, 0.45), (0.525, 0.45), (0.562, 0.60), (0.562, 0.635), (0.50, 0.655),
              (0.438, 0.635), (0.438, 0.60)),),
    "mouth": (oval(0.5, 0.742, 0.11, 0.055),),
}  # fmt: skip
FRAMES = {"ffhq": _FFHQ, "demo": _DEMO}


@lru_cache(maxsize=16)
def labels(size: int, frame: str) -> np.ndarray:
    """The region of every pixel, uint8 (size, size), an index into ``REGIONS``.

    A pixel belongs to the topmost region that holds its centre, so to exactly one. The array is
    shared: it is not to be written to.
    """
    if frame not in FRAMES:
        raise UserError(f"there is no face frame {frame!r}; there are {', '.join(FRAMES)}")
    found = np.zeros((size, size), dtype=np.uint8)
    for name, outlines in FRAMES[frame].items():
        for outline in outlines:
            found[inside(outline, size)] = REGIONS.index(name)
    found.setflags(write=False)
    return found


def area_shares(size: int, frame: str) -> dict[str, float]:
    """Each region's share of the picture; they sum to 1."""
    counts = np.bincount(labels(size, frame).ravel(), minlength=len(REGIONS))
    return {name: float(count / size**2) for name, count in zip(REGIONS, counts, strict=True)}


def shares(maps: np.ndarray, *, size: int, frame: str) -> np.ndarray:
    """Share of each map's relevance that lies in each of ``REGIONS``, (B, 8); rows sum to 1.

    Relevance is what speaks for the explained class, the positive part of a map. Maps (B, h, w)
    are enlarged to ``size``, the side of the images. A map without relevance has NaN.

    >>> even = shares(np.ones((1, 8, 8)), size=64, frame="ffhq")[0]
    >>> bool(np.allclose(even, list(area_shares(64, "ffhq").values())))
    True
    """
    large = _relevance(maps, size).reshape(len(maps), -1)
    member = labels(size, frame).ravel()[:, None] == np.arange(len(REGIONS))
    return _share(large @ member.astype(float), large.sum(axis=1)[:, None])


class RegionShares:
    """Relevance by region over a whole set, batch by batch, for any number of maps and classes.

    ``size`` is the images' side, ``frame`` one of ``FRAMES``; ``resamples`` and ``seed`` are those
    of every interval.
    """

    def __init__(self, size: int, frame: str, *, resamples: int, seed: int) -> None:
        self.size, self.frame = size, frame
        self.areas = area_shares(size, frame)
        self._means = ImageMeans(("method", "layer", "class"), resamples=resamples, seed=seed)

    def add(
        self,
        maps: Mapping[str, Mapping[str, np.ndarray]],
        classes: Sequence[str],
        persons: Sequence[Any],
    ) -> None:
        """Take a batch: ``maps[method][layer]`` (B, h, w), the class and person of each image."""
        for method, layers in maps.items():
            for layer, values in layers.items():
                own = shares(values, size=self.size, frame=self.frame)
                for name in dict.fromkeys(classes):
                    rows = [row for row, class_ in enumerate(classes) if class_ == name]
                    self._means.add(
                        (method, layer, name),
                        dict(zip(REGIONS, own[rows].T, strict=True)),
                        [persons[row] for row in rows],
                    )

    def table(self) -> pd.DataFrame:
        """One row per method, layer, class and region: ``n`` images, ``persons``, ``share`` of the
        relevance, ``area`` share and their ``ratio``, share and ratio with 95% intervals by person
        (``_low``, ``_high``), and ``undefined`` images that have no relevance."""
        rows = []
        for record in self._means.table().to_dict("records"):
            for region in REGIONS:
                row = {name: record[name] for name in (*self._means.columns, "n", "persons")}
                undefined = record.get(f"{region}_undefined", 0)
                row |= {"region": region, "undefined": 0 if undefined != undefined else undefined}
                row["area"] = area = self.areas[region]
                for end in ("", "_low", "_high"):
                    row[f"share{end}"] = value = record[f"{region}{end}"]
                    row[f"ratio{end}"] = value / area if area else float("nan")
                rows.append(row)
        return pd.DataFrame(rows)

    def ranking(self, key: tuple[str, str, str]) -> list["Ranked"]:
        """Regions of one (method, layer, class) by ratio, the highest first."""
        values = self._means.values(key)
        table = np.stack([values[region] for region in REGIONS], axis=1)
        known = np.isfinite(table).all(axis=1)
        if not known.any():
            return []
        areas = np.array([self.areas[region] for region in REGIONS])
        there = areas > 0  # a small picture may have no pixel of a region
        ratios = table[known][:, there] / areas[there]
        persons = [name for name, fine in zip(self._means.persons(key), known, strict=True) if fine]
        draws = Resamples(persons, resamples=self._means.resamples, seed=self._means.seed)
        means = ratios.mean(axis=0)
        drawn = draws.sums(ratios - means) / draws.sums(np.ones((len(ratios), 1))) + means
        names = np.array(REGIONS)[there]
        order = np.argsort(-means, kind="stable")
        ranked = []
        for rank, column in enumerate(order):
            low, high = interval(drawn[:, column])
            sure = True
            if rank + 1 < len(order):
                sure = interval(drawn[:, column] - drawn[:, order[rank + 1]])[0] > 0
            ranked.append(Ranked(str(names[column]), float(means[column]), low, high, sure))
        return ranked


@dataclass(frozen=True)
class Ranked:
    """A region in a ranking: relevance over area with its 95% interval, and whether it is certain
    (the paired interval of the difference leaves out 0) that it is above the next."""

    region: str
    ratio: float
    low: float
    high: float
    above_next: bool


def sentence(model: str, class_: str, ranked: Sequence[Ranked], *, n: int, persons: int) -> str:
    """What a model looks at, for a reader: regions that certainly get more than their area."""
    whom = f"{n} {class_} images of {persons} persons"
    if not ranked:
        return f"{model}: no map of {whom} has any relevance, so nothing can be said."
    more = [region for region in ranked if region.low > 1]
    if not more:
        return f"{model} looks at no region certainly more than its area would make it ({whom})."
    first, *others = more
    text = (
        f"{model} looks {_times(first)} times as much at the {first.region} as its area would "
        f"make it"
    )
    if others:
        text += ", then at the " + ", the ".join(
            f"{region.region} ({_times(region)})" for region in others
        )
    text += f"; 95% intervals, {whom}."
    unsure = [
        f"{one.region} and {two.region}"
        for one, two in itertools.pairwise(more)
        if not one.above_next
    ]
    if unsure:
        text += f" Which comes first is not certain for {'; '.join(unsure)}."
    return text


def _relevance(maps: np.ndarray, size: int) -> np.ndarray:
    """The positive part of maps, enlarged; float64 (B, size, size)."""
    return np.clip(np.asarray(enlarge(maps, size), dtype=np.float64), 0, None)


def inside(outline: Outline, size: int) -> np.ndarray:
    """Pixels (size, size) whose centre lies in a polygon, by counting the edges to their left."""
    centres = (np.arange(size) + 0.5) / size
    x, y = centres[None, :], centres[:, None]
    odd = np.zeros((size, size), dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        at = x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) if y0 != y1 else np.zeros_like(y)
        odd ^= crosses & (at <= x)
    return odd


def _share(inside: np.ndarray, total: np.ndarray) -> np.ndarray:
    total = np.broadcast_to(total, inside.shape)
    return np.divide(inside, total, out=np.full(inside.shape, np.nan), where=total > 0)


def _times(region: Ranked) -> str:
    return f"{region.ratio:.1f} [{region.low:.1f}, {region.high:.1f}]"
