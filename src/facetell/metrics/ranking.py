# SPDX-License-Identifier: Apache-2.0
"""Images ranked by their score: the base of every curve, of AUC, and of the choice of a threshold.

Labels: 1 = fake, 0 = real. Margins: fake logit - real logit; the score is their sigmoid, and since
that rises strictly, everything here works on margins. At or above the threshold means fake.

Images are sorted once; after that, numbers under another weighting of the images cost two running
sums. With weights of one they are the numbers themselves, with bootstrap counts their draws.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from facetell.common.errors import UserError


class Ranking:
    """Images of one test set, sorted once by falling margin, with ties joined.

    Parameters
    ----------
    labels, margins : (N,); infinite margins are allowed.

    Attributes
    ----------
    labels, margins : (N,) arrays, in the order given.
    reals, fakes : indices of the images of each class by falling margin.
    thresholds : (T,) margins, falling: infinity, then each margin that occurs.
    reals_at, fakes_at : (T,) how many images of each class are called fake at each threshold, from
        none to all.

    Raises
    ------
    ValueError : labels and margins are not two vectors of one length, a label is neither 0 nor 1,
        or a margin is NaN.

    >>> ranking = Ranking([0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0])
    >>> ranking.fakes_at.tolist()
    [0, 1, 1, 2, 2, 2]
    >>> fpr, tpr = ranking.rates()
    >>> tpr.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0, 1.0]
    """

    def __init__(self, labels: ArrayLike, margins: ArrayLike) -> None:
        self.labels, self.margins = np.asarray(labels), np.asarray(margins, dtype=float)
        if self.labels.shape != self.margins.shape or self.labels.ndim != 1 or not len(self.labels):
            raise ValueError("labels and margins must be two non-empty vectors of one length")
        if not np.isin(self.labels, (0, 1)).all() or np.isnan(self.margins).any():
            raise ValueError("labels must be 0 or 1, and margins must not be NaN")
        order = np.argsort(-self.margins, kind="stable")
        fake = self.labels[order] == 1
        self.fakes, self.reals = order[fake], order[~fake]
        # negated: numpy searches rising values
        falling = -self.margins[order]
        self._falling_reals, self._falling_fakes = falling[~fake], falling[fake]
        thresholds = np.concatenate([[-np.inf], np.unique(falling)])
        self.thresholds = -thresholds
        self.reals_at = np.searchsorted(self._falling_reals, thresholds, "right")
        self.fakes_at = np.searchsorted(self._falling_fakes, thresholds, "right")
        self.reals_at[0] = self.fakes_at[0] = 0
        # of each fake: reals strictly above it, reals and fakes at or above it
        self.reals_above = np.searchsorted(self._falling_reals, self._falling_fakes, "left")
        self.reals_from = np.searchsorted(self._falling_reals, self._falling_fakes, "right")
        self.fakes_from = np.searchsorted(self._falling_fakes, self._falling_fakes, "right")

    @property
    def two_classes(self) -> bool:
        """Whether there are both real and fake images."""
        return bool(len(self.fakes) and len(self.reals))

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """FPR and TPR at each threshold, each (T,) in [0, 1]; NaN where a class is missing."""
        with np.errstate(invalid="ignore"):
            return self.reals_at / len(self.reals), self.fakes_at / len(self.fakes)

    def reals_called_fake(self, thresholds: np.ndarray) -> np.ndarray:
        """How many real images lie at or above each of ``thresholds`` (margins, any shape)."""
        return np.searchsorted(self._falling_reals, -thresholds, "right")

    def weighted(self, weights: np.ndarray | None = None) -> "WeightedRanking":
        """The same images, each counted as often as ``weights`` (N, R) says; None: once, R = 1."""
        if weights is None:
            weights = np.ones((len(self.labels), 1))
        return WeightedRanking(self, weights)


class WeightedRanking:
    """Numbers of a ``Ranking`` under R weightings of its images, each (R,).

    They are NaN where a class is missing, or has no weight.

    >>> ranking = Ranking([0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0])
    >>> twice = np.array([[1, 1], [1, 1], [1, 2], [1, 1], [1, 1]])  # the first fake counts twice
    >>> ranking.weighted(twice).auc().round(4).tolist()
    [0.8333, 0.7778]
    """

    def __init__(self, ranking: Ranking, weights: np.ndarray) -> None:
        self.ranking = ranking
        self._fake = weights[ranking.fakes].astype(float)
        self._real_sums = _running(weights[ranking.reals])
        self._fake_sums = _running(self._fake)

    def auc(self) -> np.ndarray:
        """Area under the ROC curve, counted by pairs; ties count half."""
        ranking = self.ranking
        above = np.einsum("nr,nr->r", self._real_sums[ranking.reals_above], self._fake)
        if not np.array_equal(ranking.reals_above, ranking.reals_from):
            above += np.einsum("nr,nr->r", self._real_sums[ranking.reals_from], self._fake)
            above /= 2
        with np.errstate(invalid="ignore"):
            return 1 - above / (self._real_sums[-1] * self._fake_sums[-1])

    def ap(self) -> np.ndarray:
        """Average precision: over steps of recall, without interpolation, as in scikit-learn."""
        true = self._fake_sums[self.ranking.fakes_from]
        false = self._real_sums[self.ranking.reals_from]
        with np.errstate(invalid="ignore"):
            precision = np.divide(true, true + false, out=np.zeros_like(true), where=true > 0)
            return np.einsum("nr,nr->r", self._fake, precision) / self._fake_sums[-1]

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
        reals = self.ranking.reals_called_fake(thresholds)
        with np.errstate(invalid="ignore"):
            return self._real_sums[reals, np.arange(len(reals))] / self._real_sums[-1]

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the real and of the fake images called fake at each threshold, each (T, R)."""
        return self._real_sums[self.ranking.reals_at], self._fake_sums[self.ranking.fakes_at]

    def _at(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """FPR and TPR of each weighting at its own threshold, given by number."""
        each = np.arange(len(point))
        with np.errstate(invalid="ignore"):
            return (
                self._real_sums[self.ranking.reals_at[point], each] / self._real_sums[-1],
                self._fake_sums[self.ranking.fakes_at[point], each] / self._fake_sums[-1],
            )

    def _last(self, holds: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """The last threshold at which a condition on FPR and TPR holds, found by bisection.

        The condition must hold at the first threshold and, once it fails, never hold again.
        """
        low = np.zeros(self._fake.shape[1], dtype=int)
        high = np.full_like(low, len(self.ranking.thresholds))
        while (high - low > 1).any():
            middle = (low + high) // 2
            still = holds(*self._at(middle))
            low, high = np.where(still, middle, low), np.where(still, high, middle)
        return low


def auc(labels: ArrayLike, margins: ArrayLike) -> float:
    """Area under the ROC curve (ties count half); NaN where a class is missing.

    Labels and margins, (N,), and errors are those of ``Ranking``.

    >>> round(auc([0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0]), 4)
    0.8333
    """
    return area(*Ranking(labels, margins).rates())


def area(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Area under a ROC curve by the trapezoidal rule; rates (T,) as ``Ranking.rates`` gives them.

    >>> area(np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 1.0]))
    0.75
    """
    return float(np.trapezoid(tpr, fpr))


def best_threshold(labels: ArrayLike, margins: ArrayLike) -> float:
    """The margin with the highest balanced accuracy; of several, the one nearest to 0.

    It lies halfway between two neighbouring margins, so that rounding cannot move an image across.

    Parameters
    ----------
    labels : (N,). margins : (N,), finite.

    Raises
    ------
    UserError : all images are of one class. ValueError : as in ``Ranking``.

    >>> best_threshold([0, 0, 1, 1], [-3.0, -1.0, 2.0, 4.0])
    0.5
    """
    ranking = Ranking(labels, margins)
    if not ranking.two_classes:
        raise UserError(
            "a threshold can be chosen on real and fake images only, and all "
            f"{len(ranking.labels)} are of one class: add validation images of the other"
        )
    fpr, tpr = ranking.rates()
    ranked = ranking.thresholds[1:]
    between = np.concatenate([[ranked[0] + 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] - 1]])
    balanced = tpr - fpr
    best = between[balanced >= balanced.max() - 1e-12]
    return float(best[np.abs(best).argmin()])


def _running(weights: np.ndarray) -> np.ndarray:
    """Running sums from zero, (N + 1, R)."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, dtype=float, out=sums[1:])
    return sums
