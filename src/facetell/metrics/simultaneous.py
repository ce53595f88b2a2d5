# SPDX-License-Identifier: Apache-2.0
"""Bounds of many means that hold all at once, when images of one person are not independent.

The studentised bootstrap of persons (Efron and Tibshirani 1993, section 12.5), and the largest of
its statistics over all means (Westfall and Young 1993, "Resampling-Based Multiple Testing", single
step). The probability that any of the bounds is wrong is that of one bound alone, however many
there are, and means that resemble one another cost little. With few persons the plain percentile
bootstrap, and one that is not studentised in every draw, promise too much by far.
"""

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike

from facetell.common.errors import UserError
from facetell.metrics.intervals import LEVEL, RESAMPLES, Resamples

TAIL = (1 - LEVEL) / 2  # of one-sided bounds, as at each end of an interval
# A draw may leave out the few persons that differ from the others, and is then as good as without
# spread; unbounded, such draws would decide alone. With a quarter, simulated family-wise errors
# stay at 3% or below for skewed means of 9 to 22 persons, with a half they reach 17%.
FLOOR = 0.25  # of the error of the data, which the error in a draw is at least
NOTHING = 1e-9  # differences below are rounding


class Means:
    """K means over N images, with bounds by person for each alone and for all together.

    Parameters
    ----------
    values : (N, K), finite. persons : (N,), who is in each image, by any name.
    resamples, seed : of the bootstrap.

    Attributes
    ----------
    value : the means, (K,). error : their standard errors, (K,), persons being independent.

    Raises
    ------
    UserError : shapes do not fit, or a value is not finite.

    >>> random = np.random.default_rng(0)
    >>> values = random.normal([0.0, 0.0, 2.0], 1.0, (40, 3))
    >>> means = Means(values, np.arange(40), resamples=500, seed=0)
    >>> (means.lower() > 0).tolist(), (means.p() < 0.05).tolist()
    ([False, False, True], [False, False, True])
    >>> bool((means.lower() <= means.lower(together=False)).all())
    True
    """

    def __init__(
        self, values: np.ndarray, persons: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
    ) -> None:
        values = np.asarray(values, dtype=np.float64)
        names, member = np.unique(np.asarray(persons), return_inverse=True)
        if values.ndim != 2 or len(values) != len(member) or not len(values):
            raise UserError(f"each image needs its person: {values.shape} and {len(member)}")
        if not np.isfinite(values).all():
            raise UserError("means with bounds need finite values; leave others out")
        self.value = values.mean(axis=0)
        self._counts = np.bincount(member).astype(np.float64)[:, None]
        self._sums = np.zeros((len(names), values.shape[1]))  # of what is above the mean
        np.add.at(self._sums, member, values - self.value)
        spread = np.sqrt((self._sums**2).sum(axis=0)) / len(values)
        spread[spread < NOTHING] = 0.0
        correction = np.sqrt(len(names) / max(1, len(names) - 1))
        self.error = spread * correction if len(names) > 1 else np.full(values.shape[1], np.inf)
        self._correction = correction
        self._draws = _draws(len(names), resamples, seed)

    @cached_property
    def _drawn(self) -> np.ndarray:
        """What (mean - truth) / error is in each draw, (R, K)."""
        sums, counts = self._sums, self._counts
        kinds = [sums, sums**2, sums * counts, counts, counts**2]
        parts = np.split(
            self._draws.sums(np.concatenate(kinds, axis=1)),
            np.cumsum([part.shape[1] for part in kinds])[:-1],
            axis=1,
        )
        total, squares, mixed, number, numbers = parts
        moved = total / number
        variance = squares - 2 * moved * mixed + moved**2 * numbers
        error = self._correction * np.sqrt(np.maximum(variance, 0)) / number
        moved[np.abs(moved) < NOTHING] = 0.0
        error = np.maximum(error, FLOOR * self.error)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(moved == 0, 0.0, moved / error)

    def lower(self, *, together: bool = True) -> np.ndarray:
        """Lower bounds, (K,): all of them hold with 97.5%; each for itself if not ``together``."""
        drawn = self._drawn.max(axis=1, keepdims=True) if together else self._drawn
        reach = np.quantile(drawn, 1 - TAIL, axis=0, method="higher")
        if not np.isfinite(self.error).all():  # a single person, of whom no spread is known
            return np.full(self.error.shape, -np.inf)
        with np.errstate(invalid="ignore"):  # no spread: the bound is the mean, whatever was drawn
            return np.where(self.error == 0, self.value, self.value - reach * self.error)

    def p(self, *, together: bool = True) -> np.ndarray:
        """Two-sided p-values of a mean of 0, (K,), family-wise over all means if ``together``.

        The least that R draws can say is 1 / (R + 1).
        """
        drawn = np.abs(self._drawn)
        drawn = drawn.max(axis=1, keepdims=True) if together else drawn
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(self.value == 0, 0.0, np.abs(self.value) / self.error)
        return (1 + (drawn >= found).sum(axis=0)) / (1 + len(drawn))


@lru_cache(maxsize=4)
def _draws(persons: int, resamples: int, seed: int) -> Resamples:
    """The same draws for all means of as many persons; making them takes longer than using them."""
    return Resamples(np.arange(persons), resamples=resamples, seed=seed)
