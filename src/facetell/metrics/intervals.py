# SPDX-License-Identifier: Apache-2.0
"""How sure a number is: 95% intervals that take a person, not an image, for an observation.

Plain rates have Wilson's (1927) interval at the effective number of images (Kish 1965: the number
that would vary as much if all were independent), as Dean and Pagano (2015) recommend for clustered
data. Everything else is resampled: whole persons are drawn with replacement (Efron 1979).
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

LEVEL = 0.95
RESAMPLES = 1000
BLOCK = 50  # resamples at a time: few enough that an image's weights stay in the processor's cache


class Resamples:
    """Bootstrap draws of whole groups (persons), the same for everything that is asked of them.

    Numbers of several models or variants that are computed from one object (or from the same
    groups and seed) are paired: their differences can be resampled too.

    Parameters
    ----------
    groups : (N,), the person of each image, by any name. resamples : R, how many draws.
    seed : of the draws. ``member`` (N,) is then the number of each image's person.

    >>> draws = Resamples(["ann", "ann", "ben"], resamples=4, seed=0)
    >>> draws.member.tolist()
    [0, 0, 1]
    >>> weights = np.concatenate(list(draws.weights()), axis=1)
    >>> weights.shape, bool((weights[0] == weights[1]).all())
    ((3, 4), True)
    """

    def __init__(self, groups: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        names, self.member = np.unique(np.asarray(groups), return_inverse=True)
        random = np.random.default_rng(seed)
        self._precision: type[np.floating] = np.float32
        self._blocks = [
            _counts(random, len(names), min(BLOCK, resamples - at))
            for at in range(0, resamples, BLOCK)
        ]

    def weights(self, rows: np.ndarray | slice = slice(None)) -> Iterator[np.ndarray]:
        """How often each of the images in ``rows`` was drawn: blocks (N, r), r <= ``BLOCK``."""
        member = self.member[rows]
        for block in self._blocks:
            yield block[member].astype(self._precision)

    def sums(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Sum of ``values`` (N, K), one row for each of ``rows``, in each draw: (R, K)."""
        totals = np.zeros((len(self._blocks[0]), values.shape[1]))
        np.add.at(totals, self.member[rows], values.astype(float))
        totals = totals.astype(self._precision)
        drawn = [block.T.astype(self._precision) @ totals for block in self._blocks]
        return np.concatenate(drawn).astype(float)


def _counts(random: np.random.Generator, number: int, draws: int) -> np.ndarray:
    """How often each of ``number`` groups is drawn, (number, draws).

    In bytes, as a million persons have a thousand draws: more than 255 times happens less often
    than once in 10^500 draws.
    """
    found = np.empty((number, draws), dtype=np.uint8)
    for column in range(draws):
        drawn = random.integers(number, size=number)
        found[:, column] = np.bincount(drawn, minlength=number)
    return found


Groups = ArrayLike | Resamples | None


def draws_of(groups: Groups, *, resamples: int, seed: int) -> Resamples | None:
    """Bootstrap draws of ``groups``; None for None.

    ``groups`` (N,) names the person of each image. What is a ``Resamples`` already is returned as
    it is, so that several curves of the same images can share their draws.

    >>> draws_of(["ann", "ann", "ben"], resamples=5, seed=0).member.tolist()
    [0, 0, 1]
    """
    if groups is None or isinstance(groups, Resamples):
        return groups
    return Resamples(groups, resamples=resamples, seed=seed)


def once(number: int) -> Resamples:
    """A single draw that has each of ``number`` images once: it gives a number itself.

    >>> once(3).sums(np.array([[1.0], [2.0], [4.0]])).tolist()
    [[7.0]]
    """
    single = Resamples.__new__(Resamples)
    single.member, single._blocks = np.arange(number), [np.ones((number, 1), dtype=np.uint8)]
    single._precision = np.float64
    return single


def interval(draws: np.ndarray, level: float = LEVEL) -> list[float]:
    """The middle ``level`` of ``draws`` (R,): the percentile bootstrap. NaN draws are ignored;
    where all are, see ``intervals_of``.

    >>> [round(bound, 4) for bound in interval(np.linspace(0, 1, 1001))]
    [0.025, 0.975]
    """
    tail = 100 * (1 - level) / 2
    return [float(bound) for bound in np.nanpercentile(draws, [tail, 100 - tail])]


def intervals_of(draws: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """``interval`` by name of the number; one that is undefined (NaN) in every draw has none.

    >>> intervals_of({"auc": np.array([0.5, np.nan]), "eer": np.array([np.nan, np.nan])})
    {'auc': [0.5, 0.5]}
    """
    return {name: interval(drawn) for name, drawn in draws.items() if not np.isnan(drawn).all()}


def pivotal(draws: np.ndarray, value: float, level: float = LEVEL) -> list[float]:
    """The basic bootstrap interval, for numbers that resampling shifts to one side.

    A calibration error grows by resampling, so its draws (R,) lie above the value itself; mirrored
    at the value, they bound it. Both bounds are at least 0.

    >>> [round(bound, 4) for bound in pivotal(np.linspace(0.1, 0.3, 1001), 0.15)]
    [0.005, 0.195]
    """
    low, high = interval(draws, level)
    return [max(0.0, 2 * value - high), max(0.0, 2 * value - low)]


def wilson(right: np.ndarray, groups: np.ndarray, level: float = LEVEL) -> list[float]:
    """Interval of the share of true values in ``right`` (N,), as [low, high] in [0, 1].

    ``groups`` (N,) says, by any labels, which images belong together. With every image in a group
    of its own this is Wilson's interval. Where all or none are right, groups are counted instead
    of images, because how much a group's images agree cannot be estimated then.

    >>> [round(bound, 3) for bound in wilson(np.arange(100) < 95, np.arange(100))]
    [0.888, 0.978]
    >>> [round(bound, 3) for bound in wilson(np.arange(100) < 95, np.arange(100) // 5)]
    [0.764, 0.991]
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
    several parts counts once, with what it adds to all of them, because its errors there are not
    independent. With a single part this is ``wilson``.

    >>> right, parts = np.array([True, True, True, False]), np.array(["a", "a", "b", "b"])
    >>> [round(bound, 3) for bound in wilson_average(right, parts, np.arange(4))]
    [0.365, 0.94]
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
    """Wilson's interval of a share among ``number`` independent observations.

    >>> [round(bound, 4) for bound in wilson_of(0.5, 100)]
    [0.4038, 0.5962]
    """
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
