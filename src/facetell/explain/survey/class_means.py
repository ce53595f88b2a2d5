# SPDX-License-Identifier: Apache-2.0
"""Mean maps of real and of fake over a whole test set, and whether they differ.

Mean and variance are streamed (Welford 1962; batches by Chan, Golub and LeVeque 1979). The test of
fake minus real permutes labels by person and compares each cell with the largest cell of every
permutation (Westfall and Young 1993; Nichols and Holmes 2002), so that with no difference anywhere
one map in twenty shows any significant cell at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from facetell.common.errors import UserError

GRID = 16  # cells on a side for the test, at most: its memory is cells times permutations
ALPHA = 0.05


class Running:
    """Mean and variance of maps (h, w), float64, whatever their number."""

    def __init__(self) -> None:
        self.n = 0
        self.mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())

    def add(self, maps: np.ndarray) -> None:
        """Take a batch of maps (B, h, w)."""
        if len(maps) == 0:
            return
        values = np.asarray(maps, dtype=np.float64)
        mean = values.mean(axis=0)
        shift, number = mean - self.mean, self.n + len(values)
        self._squares = self._squares + np.square(values - mean).sum(axis=0)
        self._squares = self._squares + shift**2 * (self.n * len(values) / number)
        self.mean = self.mean + shift * (len(values) / number)
        self.n = number

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance per pixel, (h, w); NaN below two maps."""
        if self.n < 2:
            return np.full(self.mean.shape, np.nan)
        return self._squares / (self.n - 1)


class Labellings:
    """Random labellings of a set's images that are as probable as the true one if nothing differs.

    A person whose images all have one label takes another such person's; the labels of one who has
    both are shuffled among that person's images. So separate persons are compared as persons, and
    what a person's images have in common cancels where they are in both classes.

    ``labels`` (N,) are 1 for fake, 0 for real; ``persons`` (N,). ``fake`` is bool (N, R + 1), of
    which the first column is the true one.

    >>> drawn = Labellings([0, 1, 1], ["anna", "anna", "ben"], permutations=9, seed=0)
    >>> drawn.fake.shape, drawn.fake[:, 0].tolist()
    ((3, 10), [False, True, True])
    """

    def __init__(
        self,
        labels: Sequence[int] | np.ndarray,
        persons: Sequence[Any],
        *,
        permutations: int,
        seed: int,
    ) -> None:
        own = np.asarray(labels).astype(bool)
        if own.all() or not own.any():
            raise UserError("a difference of classes needs images of both, real and fake")
        _, member = np.unique(np.asarray(persons, dtype=str), return_inverse=True)
        share = np.bincount(member, weights=own) / np.bincount(member)
        pure = (share == 0) | (share == 1)
        self.seed = seed
        self.fake = np.empty((len(own), permutations + 1), dtype=bool)
        self.fake[:, 0] = own
        random = np.random.default_rng(seed)
        by_person = np.argsort(member, kind="stable")
        for column in range(1, permutations + 1):
            shuffled = np.lexsort((random.random(len(own)), member))
            drawn = np.empty_like(own)
            drawn[shuffled] = own[by_person]  # within each person
            given = share.copy()
            given[pure] = random.permutation(share[pure])
            self.fake[:, column] = np.where(pure[member], given[member] == 1, drawn)


@dataclass(frozen=True)
class Difference:
    """Fake minus real: ``map`` (h, w) as it is; ``cells`` (g, g) the same on the test's grid, in
    standard deviations; ``p`` (g, g) family-wise, ``p_any`` that of the largest cell."""

    map: np.ndarray
    cells: np.ndarray
    p: np.ndarray
    p_any: float
    n_real: int
    n_fake: int
    permutations: int
    seed: int


class ClassMeans:
    """Mean and variance of raw maps per class, and the permutation test of their difference.

    Memory is that of some maps and of a grid per labelling, whatever the number of images. Several
    maps (methods, layers) share one ``Labellings``.
    """

    def __init__(self, labellings: Labellings, grid: int = GRID) -> None:
        self.labellings, self.grid = labellings, grid
        self.real, self.fake = Running(), Running()
        self.everyone = Running()
        self._sums: np.ndarray = np.zeros(())
        self._counts = np.zeros(labellings.fake.shape[1])
        self._seen = np.zeros(len(labellings.fake), dtype=bool)

    def add(self, maps: np.ndarray, rows: Sequence[int] | np.ndarray) -> None:
        """Take a batch of raw maps (B, h, w); ``rows`` (B,) are their indices in the labellings.

        Raises
        ------
        UserError : an image comes twice, or a map is not finite.
        """
        rows = np.asarray(rows)
        if self._seen[rows].any() or len(set(rows.tolist())) < len(rows):
            raise UserError("an image was given to the class means twice")
        if not np.isfinite(maps).all():
            raise UserError("a map with values that are not finite has no mean; leave it out")
        self._seen[rows] = True
        drawn = self.labellings.fake[rows]
        self.fake.add(maps[drawn[:, 0]])
        self.real.add(maps[~drawn[:, 0]])
        cells = pooled(np.asarray(maps, dtype=np.float64), self.grid)
        self.everyone.add(cells)
        self._sums = self._sums + drawn.T.astype(np.float64) @ cells.reshape(len(cells), -1)
        self._counts += drawn.sum(axis=0)

    def difference(self) -> Difference:
        """Fake minus real with its test.

        Raises
        ------
        UserError : one of the classes has no image yet.
        """
        if not (self.real.n and self.fake.n):
            raise UserError("a difference of classes needs images of both, real and fake")
        number, mean = self.everyone.n, self.everyone.mean.ravel()
        counts = self._counts[:, None]
        fine = ((counts > 0) & (counts < number)).ravel()  # a part of the set may lack a class
        with np.errstate(divide="ignore", invalid="ignore"):
            # mean of fakes - mean of the others, from the sum over fakes and the mean over all
            differences = (self._sums / counts - mean) * (number / (number - counts))
            spread = np.sqrt(self.everyone.variance.ravel())
            scaled = differences / np.where(spread > 0, spread, np.inf)
        scaled = scaled[fine]
        largest = np.abs(scaled).max(axis=1)
        cells = scaled[0]
        # the true labelling counts as one of them; ties within rounding count against it
        p = (largest[:, None] >= np.abs(cells) * (1 - 1e-9)).mean(axis=0)
        shape = self.everyone.mean.shape
        return Difference(
            map=self.fake.mean - self.real.mean,
            cells=cells.reshape(shape),
            p=p.reshape(shape),
            p_any=float(p.min()),
            n_real=self.real.n,
            n_fake=self.fake.n,
            permutations=len(largest) - 1,
            seed=self.labellings.seed,
        )


def pooled(maps: np.ndarray, grid: int) -> np.ndarray:
    """Mean of maps (B, h, w) in at most ``grid`` x ``grid`` cells, each of whole pixels."""
    for axis in (1, 2):
        size = maps.shape[axis]
        count = min(grid, size)
        edges = np.arange(count) * size // count
        widths = np.diff([*edges, size])
        sums = np.add.reduceat(maps, edges, axis=axis)
        maps = sums / np.expand_dims(widths, tuple(set(range(3)) - {axis}))
    return maps
