"""Numbers of a ranking under many weightings of its images at once.

With weights of one they are the numbers themselves, with bootstrap counts their draws: there is one
implementation of both. Images are sorted once, and a weighting costs two running sums.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


class Ranked:
    """Images of one test set, sorted once by falling margin.

    Raises ValueError where labels and margins are not two equally long vectors of 0 and 1 and of
    numbers (infinite ones are allowed, NaN is not).
    """

    def __init__(self, labels: ArrayLike, margins: ArrayLike) -> None:
        self.labels, self.margins = np.asarray(labels), np.asarray(margins, dtype=float)
        if self.labels.shape != self.margins.shape or self.labels.ndim != 1 or not len(self.labels):
            raise ValueError("labels and margins must be two non-empty vectors of one length")
        if not np.isin(self.labels, (0, 1)).all() or np.isnan(self.margins).any():
            raise ValueError("labels must be 0 or 1, and margins must not be NaN")
        order = np.argsort(-self.margins, kind="stable")
        falling = -self.margins[order]
        fake = self.labels[order] == 1
        self.fakes, self.reals = order[fake], order[~fake]
        self.falling_reals, self.falling_fakes = falling[~fake], falling[fake]
        self.thresholds = np.concatenate([[-np.inf], np.unique(falling)])  # negative margins
        # how many reals and fakes lie at or above each threshold; none at the first
        self.reals_at = np.searchsorted(self.falling_reals, self.thresholds, "right")
        self.fakes_at = np.searchsorted(self.falling_fakes, self.thresholds, "right")
        self.reals_at[0] = self.fakes_at[0] = 0
        # of each fake: reals strictly above it, reals and fakes at or above it
        self.reals_above = np.searchsorted(self.falling_reals, self.falling_fakes, "left")
        self.reals_from = np.searchsorted(self.falling_reals, self.falling_fakes, "right")
        self.fakes_from = np.searchsorted(self.falling_fakes, self.falling_fakes, "right")

    @property
    def two_classes(self) -> bool:
        """Whether there is something to tell apart."""
        return bool(len(self.fakes) and len(self.reals))

    def under(self, weights: np.ndarray) -> "Weighed":
        """The same images, each counted as often as ``weights`` (N, R) says."""
        return Weighed(self, weights)


class Weighed:
    """Numbers of ``Ranked`` images under R weightings, each (R,); NaN where a class is missing."""

    def __init__(self, ranked: Ranked, weights: np.ndarray) -> None:
        self.ranked = ranked
        self.fake = weights[ranked.fakes].astype(float)
        self.reals = _running(weights[ranked.reals])
        self.fakes = _running(self.fake)

    def auc(self) -> np.ndarray:
        """Area under the ROC curve; ties count half."""
        ranked = self.ranked
        above = np.einsum("nr,nr->r", self.reals[ranked.reals_above], self.fake)
        if not np.array_equal(ranked.reals_above, ranked.reals_from):
            above += np.einsum("nr,nr->r", self.reals[ranked.reals_from], self.fake)
            above /= 2
        with np.errstate(invalid="ignore"):
            return 1 - above / (self.reals[-1] * self.fakes[-1])

    def ap(self) -> np.ndarray:
        """Average precision: over steps of recall, without interpolation, as in scikit-learn."""
        true = self.fakes[self.ranked.fakes_from]
        false = self.reals[self.ranked.reals_from]
        with np.errstate(invalid="ignore"):
            precision = np.divide(true, true + false, out=np.zeros_like(true), where=true > 0)
            return np.einsum("nr,nr->r", self.fake, precision) / self.fakes[-1]

    def eer(self) -> np.ndarray:
        """The error rate where FPR = FNR, on the straight line between the two nearest points."""
        last = self._last(lambda fpr, tpr: fpr < 1 - tpr)
        before, after = self._at(last), self._at(last + 1)
        gap = [fpr - (1 - tpr) for fpr, tpr in (before, after)]
        with np.errstate(invalid="ignore"):
            return before[0] - gap[0] / (gap[1] - gap[0]) * (after[0] - before[0])

    def tpr_at(self, level: float) -> np.ndarray:
        """The highest TPR that some threshold reaches with an FPR of at most ``level``."""
        return self._at(self._last(lambda fpr, tpr: fpr <= level))[1]

    def fpr_from(self, thresholds: np.ndarray) -> np.ndarray:
        """FPR of each weighting at its own threshold, a margin; thresholds (R,)."""
        reals = np.searchsorted(self.ranked.falling_reals, -thresholds, "right")
        with np.errstate(invalid="ignore"):
            return self.reals[reals, np.arange(len(reals))] / self.reals[-1]

    def _at(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FPR and TPR of each weighting at its own threshold, given by number."""
        each = np.arange(len(point))
        with np.errstate(invalid="ignore"):
            return (
                self.reals[self.ranked.reals_at[point], each] / self.reals[-1],
                self.fakes[self.ranked.fakes_at[point], each] / self.fakes[-1],
            )

    def _last(self, holds: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """The last threshold at which a condition on FPR and TPR holds, for one that holds at the
        first and, once it does not, never again; found by halving."""
        low = np.zeros(self.fake.shape[1], dtype=int)
        high = np.full_like(low, len(self.ranked.thresholds))
        while (high - low > 1).any():
            middle = (low + high) // 2
            still = holds(*self._at(middle))
            low, high = np.where(still, middle, low), np.where(still, high, middle)
        return low


def _running(weights: np.ndarray) -> np.ndarray:
    """Running sums from zero, (N + 1, R)."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, dtype=float, out=sums[1:])
    return sums
