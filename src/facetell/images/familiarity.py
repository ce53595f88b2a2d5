# SPDX-License-Identifier: Apache-2.0
"""Whether a photo is like the images that a detector was validated on: a verdict holds for those.

Looked at are the size and shape of the file's picture, and, of what the network sees, sharpness and
noise, the azimuthal power spectrum, and the layout: where brightness rises and falls in a
thumbnail. The last two are compared by their Mahalanobis distance under probabilistic principal
component analysis (Tipping and Bishop, 1999), a common score of novelty. Every limit is a quantile
of validation images, for the distances of images that were left out of the fit.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from facetell.images import spectra
from facetell.images.loading import to_unit
from facetell.images.pixel_statistics import sharpness_and_noise

OUTSIDE = 0.0025  # share of validation images beyond each limit
THUMB = 16  # px: the side of the thumbnail
RANKS = {"spectrum": 8, "layout": 16}  # principal components of each
FAINT = 0.01  # of the range of brightness: weaker differences are noise
FOLDS = 5
FEWEST = 40  # validation images below which nothing is claimed
MOST = 2_000  # that are looked at
BATCH = 64  # of them at once
SCALE = 1.25  # a size or shape may differ by this factor from those of validation images
SEEN = 2 / 3  # of the photo's area: if the network sees less, the user is told
DIGITS = 4  # significant digits that are kept
NAMES = ("sharpness", "noise")
SAID = {
    "spectrum": "its frequency spectrum is unlike that of the validation images ({:.1f} times the "
    "distance at which images count as unlike)",
    "layout": "its layout of light and dark is unlike that of the validation images ({:.1f} times "
    "the distance at which images count as unlike): is it one upright face, cropped as theirs?",
}


@dataclass(frozen=True)
class Subspace:
    """A Gaussian with ``len(components)`` free directions and the same ``rest`` in all others.

    ``limit`` is the distance beyond which something is unlike what it was fitted to.

    >>> plain = Subspace((0.0, 0.0), ((1.0, 0.0),), (4.0,), rest=1.0, limit=3.0)
    >>> plain.distance(np.array([2.0, 1.0])).round(3).item()
    1.414
    """

    mean: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    rest: float
    limit: float

    @classmethod
    def fit(cls, values: np.ndarray, rank: int) -> "Subspace":
        """From (N, D) values, with the limit from what is left out in each of ``FOLDS``."""
        folds = np.arange(len(values)) % FOLDS
        left_out = [
            cls._of(values[folds != at], rank).distance(values[folds == at]) for at in range(FOLDS)
        ]
        limit = float(np.quantile(np.concatenate(left_out), 1 - 2 * OUTSIDE))
        return cls._of(values, rank, limit)

    @classmethod
    def _of(cls, values: np.ndarray, rank: int, limit: float = 0.0) -> "Subspace":
        count, size = values.shape
        rank = min(rank, size - 1, count - 2)
        mean = values.mean(axis=0)
        _, singular, rows = np.linalg.svd(values - mean, full_matrices=False)
        variances = singular**2 / (count - 1)
        rest = float(variances[rank:].sum() / (size - rank))
        floor = 1e-6 * float(variances.sum()) + 1e-12
        return cls(
            _rounded(mean),
            tuple(map(_rounded, rows[:rank])),
            _rounded(np.maximum(variances[:rank], floor)),
            float(f"{max(rest, floor):.{DIGITS}g}"),
            float(f"{limit:.{DIGITS}g}"),
        )

    def distance(self, values: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of (..., D) values, (...)."""
        off = values - np.array(self.mean)
        along = off @ np.array(self.components).T
        outside = np.maximum((off**2).sum(axis=-1) - (along**2).sum(axis=-1), 0) / self.rest
        return np.sqrt((along**2 / np.array(self.variances)).sum(axis=-1) + outside)


@dataclass(frozen=True)
class Familiarity:
    """What validation images look like.

    ``images`` is their number; ``side`` the least and most of their shorter sides, in pixels;
    ``shape`` the most of longer over shorter side; ``limits`` bounds of what ``NAMES`` measure, as
    ``facetell.images.pixel_statistics`` does; ``subspaces`` of spectrum and layout.
    """

    images: int
    side: tuple[int, int]
    shape: float
    limits: dict[str, tuple[float, float]]
    subspaces: dict[str, Subspace]

    @classmethod
    def fit(
        cls, sizes: Iterable[tuple[int, int]], pixels: Iterable[np.ndarray]
    ) -> "Familiarity | None":
        """From validation images: (width, height) of each, and what the network sees, uint8
        (3, S, S). None if they are fewer than ``FEWEST``.

        >>> random = np.random.default_rng(0)
        >>> seen = random.integers(0, 255, (50, 3, 32, 32), dtype=np.uint8)
        >>> found = Familiarity.fit([(64, 64)] * 50, seen)
        >>> found.side, sorted(found.subspaces)
        ((64, 64), ['layout', 'spectrum'])
        """
        shorter, longer = np.array([sorted(size) for size in sizes]).reshape(-1, 2).T
        if len(shorter) < FEWEST:
            return None
        seen = list(pixels)
        # in parts: as floats, thousands of large images would take gigabytes
        parts = [_measured(np.stack(seen[at : at + BATCH])) for at in range(0, len(seen), BATCH)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        bounds = np.quantile(found["levels"], [OUTSIDE, 1 - OUTSIDE], axis=0).T
        return cls(
            images=len(shorter),
            side=(int(shorter.min()), int(shorter.max())),
            shape=float(f"{(longer / shorter).max():.{DIGITS}g}"),
            limits={
                name: (float(f"{low:.{DIGITS}g}"), float(f"{high:.{DIGITS}g}"))
                for name, (low, high) in zip(NAMES, bounds, strict=True)
            },
            subspaces={name: Subspace.fit(found[name], rank) for name, rank in RANKS.items()},
        )

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Familiarity | None":
        """Back from ``stored()``; None from an empty one."""
        if not stored:
            return None
        spaces = {name: Subspace(**space) for name, space in stored["subspaces"].items()}
        return cls(**{**stored, "subspaces": spaces})

    def stored(self) -> dict[str, Any]:
        """As what JSON gives back."""
        return json.loads(json.dumps(asdict(self)))

    def novelties(self, sizes: Sequence[tuple[int, int]], pixels: np.ndarray) -> "list[Novelty]":
        """Compare photos of these sizes, (width, height) in pixels, of which the network sees
        ``pixels``, uint8 (N, 3, S, S)."""
        found = _measured(pixels)
        ratios = {
            name: space.distance(found[name]) / space.limit
            for name, space in self.subspaces.items()
        }
        return [
            self._novelty(size, found["levels"][at], {name: r[at] for name, r in ratios.items()})
            for at, size in enumerate(sizes)
        ]

    def _novelty(
        self, size: tuple[int, int], levels: np.ndarray, ratios: dict[str, float]
    ) -> "Novelty":
        said = [*self._size(*size), *self._levels(levels)]
        said += [SAID[name].format(ratio) for name, ratio in ratios.items() if ratio > 1]
        return Novelty(float(max(ratios.values())), tuple(said))

    def _size(self, width: int, height: int) -> Iterator[str]:
        shorter, longer = sorted((width, height))
        least, most = self.side
        if not least / SCALE <= shorter <= most * SCALE:
            theirs = f"{least}" if least == most else f"{least} to {most}"
            yield (
                f"it has {width}x{height} px, and the shorter sides of the validation images "
                f"{theirs}: scaling alone adds or removes traces"
            )
        if longer / shorter > self.shape * SCALE:
            yield (
                f"it is {longer / shorter:.1f} times as long as wide, the validation images at "
                f"most {self.shape:.1f} times"
            )

    def _levels(self, levels: np.ndarray) -> Iterator[str]:
        words = {"sharpness": ("more blurred", "sharper"), "noise": ("smoother", "noisier")}
        for name, level in zip(NAMES, levels, strict=True):
            low, high = self.limits[name]
            if not low <= level <= high:
                how = words[name][int(level > high)]
                yield f"it is {how} than {1 - OUTSIDE:.1%} of the validation images"


@dataclass(frozen=True)
class Novelty:
    """How unlike a photo is: ``score`` above 1 is beyond the limit; NaN: nothing is known.

    ``said`` are sentences, none if it is like the validation images.
    """

    score: float
    said: tuple[str, ...]


def seen_in_part(width: int, height: int, size: int) -> Iterator[str]:
    """What is known of any photo without validation images: that it is too small, or cut off."""
    shorter, longer = sorted((height, width))
    if shorter < size:
        yield (
            f"{width}x{height} px is smaller than the network's input and was enlarged to "
            f"{size}x{size}: it has less detail than the training images, and that alone may "
            "decide the verdict"
        )
    if shorter < SEEN * longer:
        yield (
            f"the network sees only the square in the middle, {shorter / longer:.0%} of the photo: "
            "crop it to the face, as the training images were"
        )


def _measured(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What is compared, of (N, 3, S, S): two levels, the spectrum and the layout of each."""
    batch = to_unit(torch.from_numpy(np.ascontiguousarray(pixels)), torch.device("cpu"))
    radii = min(spectra.RADII, pixels.shape[-1] // 2)
    found = {
        "levels": sharpness_and_noise(spectra.luma(batch)),
        "spectrum": spectra.azimuthal(spectra.power(batch), radii),
        "layout": _layout(spectra.luma(batch)),
    }
    return {name: values.double().numpy() for name, values in found.items()}


def _layout(luma: torch.Tensor) -> torch.Tensor:
    """Differences of brightness between neighbours, down and across, (N, 2 (THUMB - 1)^2); their
    strength on the whole is divided out."""
    thumb = torch.nn.functional.adaptive_avg_pool2d(luma, THUMB)
    down, across = thumb.diff(dim=1)[:, :, :-1], thumb.diff(dim=2)[:, :-1]
    steps = torch.stack([down, across], dim=1).flatten(1)
    return steps / (steps.square().mean(dim=1, keepdim=True).sqrt() + FAINT)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
