"""How sure a number is: 95% intervals that take a person, not an image, for an observation.

Plain rates have Wilson's (1927) interval at the effective number of images (Kish 1965: the number
that would vary as much if all were independent), as Dean and Pagano (2015) recommend for clustered
data. Everything else is resampled: whole persons are drawn with replacement (Efron 1979).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

LEVEL = 0.95
BLOCK = 50  # resamples at a time: few enough that an image's weights stay in the processor's cache


class Resamples:
    """Bootstrap draws of whole groups (persons), the same for everything that is asked of them.

    Numbers of several models or variants that are computed from one object (or from the same
    groups and seed) are paired: their differences can be resampled too.
    """

    def __init__(self, groups: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> None:
        names, self.member = np.unique(np.asarray(groups), return_inverse=True)
        random = np.random.default_rng(seed)
        drawn = np.empty((len(names), resamples), dtype=np.float32)  # small counts: exact
        for column in range(resamples):
            draw = random.integers(len(names), size=len(names))
            drawn[:, column] = np.bincount(draw, minlength=len(names))
        self._blocks: list[np.ndarray] = [
            np.ascontiguousarray(drawn[:, at : at + BLOCK]) for at in range(0, resamples, BLOCK)
        ]

    def weights(self, rows: np.ndarray | slice = slice(None)) -> Iterator[np.ndarray]:
        """How often each of the images in ``rows`` was drawn: blocks (N, r), r <= ``BLOCK``."""
        member = self.member[rows]
        for block in self._blocks:
            yield block[member]

    def sums(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sums of ``values`` (N, K), a row for each of ``rows``, over each draw: (R, K)."""
        totals = np.zeros((len(self._blocks[0]), values.shape[1]))
        np.add.at(totals, self.member[rows], values.astype(float))
        totals = totals.astype(self._blocks[0].dtype)
        return np.concatenate([block.T @ totals for block in self._blocks]).astype(float)


def once(number: int) -> Resamples:
    """A single draw, of every one of ``number`` images once: what is computed from it is the number
    itself."""
    single = Resamples.__new__(Resamples)
    single.member, single._blocks = np.arange(number), [np.ones((number, 1), dtype=float)]
    return single


def interval(draws: np.ndarray, level: float = LEVEL) -> list[float]:
    """The middle ``level`` of the draws (percentile bootstrap); draws that are NaN are left out."""
    tail = 100 * (1 - level) / 2
    return [float(bound) for bound in np.nanpercentile(draws, [tail, 100 - tail])]


def pivotal(draws: np.ndarray, value: float, level: float = LEVEL) -> list[float]:
    """The basic bootstrap interval, for numbers that resampling shifts to one side.

    A calibration error grows by resampling, so its draws lie above the value itself; mirrored at
    the value, they bound it. Clipped to be at least 0.
    """
    low, high = interval(draws, level)
    return [max(0.0, 2 * value - high), max(0.0, 2 * value - low)]


def wilson(right: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> list[float]:
    """Interval of the share of true values in ``right`` (N,), where ``groups`` (N,) says which
    belong together (any labels).

    With every image its own group this is Wilson's interval. Where all or none are right, the
    groups, not the images, are counted: their agreement cannot be seen then.
    """
    share, number = float(np.mean(right)), float(len(right))
    _, member = np.unique(groups, return_inverse=True)
    spread = np.square(np.bincount(member, weights=right - share)).sum()
    if spread > 1e-9 * number:
        number *= share * (1 - share) * number / spread
    elif share in (0, 1):
        number = float(member.max()) + 1
    return wilson_of(share, number, level)


def wilson_average(
    right: np.ndarray, parts: np.ndarray, groups: np.ndarray, level: float = LEVEL
) -> list[float]:
    """Interval of the unweighted mean over parts of the share of true values in each.

    ``parts`` (N,) says which part each of ``right`` (N,) belongs to. A group that has images in
    several parts counts once, with what it adds to all of them: its errors there are not
    independent. With a single part this is ``wilson``, and where all or none are right, the groups
    are counted as there.
    """
    _, part = np.unique(parts, return_inverse=True)
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(part)
    shares = np.bincount(part, weights=right) / sizes
    share = float(shares.mean())
    added = (right - shares[part]) / (len(sizes) * sizes[part])  # to the mean, by each image
    variance = np.square(np.bincount(member, weights=added)).sum()
    if variance > 1e-12:
        return wilson_of(share, share * (1 - share) / variance, level)
    return wilson_of(share, float(member.max()) + 1, level)


def wilson_of(share: float, number: float, level: float = LEVEL) -> list[float]:
    """Wilson's interval of a share among ``number`` independent observations."""
    z = float(norm.ppf((1 + level) / 2))
    centre = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2)) / (1 + z**2 / number)
    # at the ends, rounding would leave the bound a hair inside
    low = 0.0 if share == 0 else centre - half
    high = 1.0 if share == 1 else centre + half
    return [float(max(0.0, low)), float(min(1.0, high))]


def in_words() -> str:
    """The level of all intervals, as figures and reports call it.

    >>> in_words()
    '95%'
    """
    return f"{100 * LEVEL:g}%"
