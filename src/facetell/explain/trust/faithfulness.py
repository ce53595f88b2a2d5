# SPDX-License-Identifier: Apache-2.0
"""Does the margin fall when the pixels go that a map calls relevant? Deletion, insertion, ROAD.

Deletion and insertion: Petsiuk et al., "RISE" (BMVC 2018), here also on the margin, which does not
saturate. ROAD: Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution
Methods" (ICML 2022); its imputation is solved exactly, by a banded Cholesky factor of each mask.
Pixels are ranked with equal values in random order, seeded per image, so that exactly the asked
share goes also where most of a map is zero.

The zero level of every number is a random order (``random_order``), not 0: smoothing alone already
erases the traces of generators.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solveh_banded
from scipy.special import expit

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.common.vision import functional as F

Score = Callable[[torch.Tensor], torch.Tensor | np.ndarray]
NOISE = 0.01  # standard deviation of what ROAD adds to imputed pixels, of the range [0, 1]
BATCH = 128  # images per call of the score
# half of the neighbours (the others follow by symmetry): rows down, columns right, weight
_NEIGHBOURS = ((0, 1, 1 / 6), (1, 0, 1 / 6), (1, 1, 1 / 12), (1, -1, 1 / 12))


@dataclass
class Curve:
    """Margins (B, T) at the ``fractions`` (T,) of pixels that were removed or added."""

    fractions: np.ndarray
    margins: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of the explained class, (B, T)."""
        return expit(self.margins)

    def area(self, values: np.ndarray | None = None) -> np.ndarray:
        """Mean height (B,) of a curve (B, T), the margins' by default: the area under it, over
        the span of the fractions."""
        heights = self.margins if values is None else values
        span = self.fractions[-1] - self.fractions[0]
        return np.trapezoid(heights, self.fractions, axis=1) / span


def ranking(maps: np.ndarray, ids: Sequence[object], *, seed: int) -> np.ndarray:
    """Rank of each pixel, int (B, S, S): 0 for the most relevant, up to S*S - 1.

    Signed values are ranked as they are. Pixels of equal value come in a random order that
    depends on ``seed`` and the image's id alone, not on the batch or the map.

    >>> ranking(np.array([[[0.1, 0.9], [0.5, -2.0]]]), ["face"], seed=0).tolist()
    [[[2, 0], [1, 3]]]

    Raises
    ------
    UserError : a value is not finite.
    """
    if not np.isfinite(maps).all():
        raise UserError("a map with values that are not finite has no ranking of its pixels")
    ranks = np.empty((len(maps), maps[0].size), dtype=np.int64)
    for row, (map_, name) in enumerate(zip(maps, ids, strict=True)):
        shuffled = _shuffled(map_.size, name, seed)
        order = shuffled[np.argsort(-map_.ravel()[shuffled], kind="stable")]
        ranks[row, order] = np.arange(map_.size)
    return ranks.reshape(maps.shape)


def random_order(ids: Sequence[object], size: int, *, seed: int) -> np.ndarray:
    """Ranks (B, S, S) that no map has a say in: the zero level of every measure here."""
    return ranking(np.zeros((len(ids), size, size)), ids, seed=seed_of(seed, "zero level"))


def blurred(images: torch.Tensor) -> torch.Tensor:
    """What deleted pixels become: ``images`` (B, 3, S, S) under a Gaussian blur of which the
    standard deviation is a sixteenth of the side."""
    size = images.shape[-1]
    reach = min(2 * (3 * size // 16) + 1, 2 * size - 1)  # padding by reflection allows no more
    return F.gaussian_blur(images, [reach, reach], [size / 16, size / 16])


def deletion(score: Score, images: torch.Tensor, ranks: np.ndarray, *, steps: int) -> Curve:
    """Margins while the most relevant pixels are blurred first; a low area is good.

    ``score`` maps float images (B, 3, S, S) in [0, 1] to margins (B,); ``ranks`` are those of
    ``ranking``. The curve has ``steps`` + 1 points, from none to all.
    """
    return _mixed(score, images, blurred(images), ranks, steps)


def insertion(score: Score, images: torch.Tensor, ranks: np.ndarray, *, steps: int) -> Curve:
    """Margins while the most relevant pixels of the blurred image become sharp first; a high area
    is good.

    Parameters as for ``deletion``.
    """
    return _mixed(score, blurred(images), images, ranks, steps)


def road(
    score: Score,
    images: torch.Tensor,
    ranks: np.ndarray,
    ids: Sequence[object],
    *,
    most_first: bool,
    fractions: Sequence[float],
    seed: int,
) -> Curve:
    """Margins after removing ``fractions`` of the pixels, the most (or the least) relevant first.

    Removed pixels are imputed (``impute``) and get Gaussian noise of 0.01, seeded by ``seed`` and
    the image's id. ``score`` and ``ranks`` as for ``deletion``.
    """
    order = ranks if most_first else ranks[0].size - 1 - ranks
    removed = np.stack([order < round(part * ranks[0].size) for part in fractions])  # T, B, S, S
    pixels = images.detach().cpu().numpy()
    filled = np.empty((len(fractions), *pixels.shape), dtype=np.float32)
    for row, name in enumerate(ids):
        random = np.random.default_rng(seed_of(seed, "road", name))
        noise = random.normal(0, NOISE, pixels.shape[1:])
        for step in range(len(fractions)):
            gone = removed[step, row]
            filled[step, row] = impute(pixels[row], gone) + noise * gone
    flat = torch.from_numpy(filled).flatten(0, 1).to(images.device)
    margins = _margins(score, flat).reshape(len(fractions), len(pixels))
    return Curve(np.asarray(fractions), margins.T)


def impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """``image`` (C, H, W) with every ``removed`` (bool H, W) pixel the weighted mean of its
    neighbours, all solved together: 1/6 straight, 1/12 diagonal, over those inside the picture.

    The system is symmetric and positive definite as soon as one pixel is left, and banded in
    reading order, so one Cholesky factor serves all colours.

    Raises
    ------
    UserError : nothing is left to impute from.
    """
    if removed.all():
        raise UserError("all pixels are removed, so there is nothing to impute them from")
    result = image.astype(np.float64)
    if not removed.any():
        return result
    number = np.cumsum(removed.ravel()).reshape(removed.shape) - 1
    count = int(removed.sum())
    bands = np.zeros((removed.shape[1] + 2, count))  # lower form: bands[d, i] couples i and i + d
    known = np.zeros((*removed.shape, len(image)))
    weight = np.zeros(removed.shape)
    values = np.where(removed, 0.0, result).transpose(1, 2, 0)
    for down, right, share in _NEIGHBOURS:
        here, there = _pairs(removed.shape, down, right)
        weight[here] += share
        weight[there] += share
        known[here] += share * values[there]
        known[there] += share * values[here]
        both = removed[here] & removed[there]
        one, other = number[here][both], number[there][both]
        bands[other - one, one] -= share
    bands[0] = weight[removed]
    width = int(np.flatnonzero(bands.any(axis=1)).max())
    solved = solveh_banded(bands[: width + 1], known[removed], lower=True, check_finite=False)
    result[:, removed] = solved.T
    return result


def measure(
    score: Score,
    images: torch.Tensor,
    ranks: np.ndarray,
    ids: Sequence[object],
    *,
    steps: int,
    fractions: Sequence[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """All measures of one map per image, each (B,).

    ``deletion`` and ``insertion`` are mean margins along the curve, ``*_probability`` the same of
    the probability; ``road_most`` and ``road_least`` the mean margin with the most and the least
    relevant pixels removed, and ``road`` half of least minus most. Insertion and the three of
    ``HIGHER_IS_BETTER`` should be high, the others low.
    """
    out = deletion(score, images, ranks, steps=steps)
    back = insertion(score, images, ranks, steps=steps)
    most, least = (
        road(score, images, ranks, ids, most_first=first, fractions=fractions, seed=seed)
        for first in (True, False)
    )
    return {
        "deletion": out.area(),
        "deletion_probability": out.area(out.probabilities),
        "insertion": back.area(),
        "insertion_probability": back.area(back.probabilities),
        "road_most": most.margins.mean(axis=1),
        "road_least": least.margins.mean(axis=1),
        "road": (least.margins - most.margins).mean(axis=1) / 2,
    }


HIGHER_IS_BETTER = {
    "deletion": False,
    "deletion_probability": False,
    "insertion": True,
    "insertion_probability": True,
    "road_most": False,
    "road_least": True,
    "road": True,
}


def _shuffled(count: int, name: object, seed: int) -> np.ndarray:
    return np.random.default_rng(seed_of(seed, "ties", name)).permutation(count)


def _mixed(
    score: Score, start: torch.Tensor, end: torch.Tensor, ranks: np.ndarray, steps: int
) -> Curve:
    """Margins while pixels of ``start`` become those of ``end`` in order of rank."""
    fractions = np.linspace(0, 1, steps + 1)
    order = torch.from_numpy(ranks).to(start.device)[:, None]
    mixed = [
        torch.where(order < round(part * ranks[0].size), end, start) for part in fractions.tolist()
    ]
    margins = _margins(score, torch.cat(mixed)).reshape(len(fractions), len(ranks))
    return Curve(fractions, margins.T)


def _margins(score: Score, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        parts = [torch.as_tensor(score(part)).cpu().double() for part in images.split(BATCH)]
    return torch.cat(parts).numpy()


def _pairs(
    shape: tuple[int, ...], down: int, right: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a pixel has a neighbour ``down`` and ``right`` of it, and where that neighbour is."""
    rows, columns = shape
    here = slice(0, rows - down), slice(max(0, -right), columns - max(0, right))
    there = slice(down, rows), slice(max(0, right), columns + min(0, right))
    return here, there
