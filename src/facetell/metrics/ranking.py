"""Images ranked by their score: the base of every curve, and of the choice of a threshold.

Labels: 1 = fake, 0 = real. Margins: fake logit - real logit; the score is their sigmoid, and since
that rises strictly, everything here works on margins. At or above the threshold means fake.
"""

import numpy as np
from numpy.typing import ArrayLike


class Ranking:
    """Images sorted by falling margin, with ties joined: the base of every curve.

    Weights (one per image, bootstrap counts) can be changed without sorting again.
    """

    def __init__(self, labels: ArrayLike, margins: ArrayLike) -> None:
        labels, margins = np.asarray(labels), np.asarray(margins, dtype=float)
        if labels.shape != margins.shape or labels.ndim != 1 or not len(labels):
            raise ValueError("labels and margins must be two non-empty vectors of one length")
        if not np.isin(labels, (0, 1)).all() or np.isnan(margins).any():
            raise ValueError("labels must be 0 or 1, and margins must not be NaN")
        self.order = np.argsort(-margins, kind="stable")
        self.fake = labels[self.order] == 1
        ranked = margins[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.thresholds = np.concatenate([[np.inf], ranked[self.ends]])

    def counts(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Real and fake images called fake at each threshold, each (T,), from none to all."""
        weight = np.ones(len(self.fake)) if weights is None else weights[self.order]
        false = np.concatenate([[0.0], np.cumsum(weight * ~self.fake)[self.ends]])
        true = np.concatenate([[0.0], np.cumsum(weight * self.fake)[self.ends]])
        return false, true

    def rates(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """FPR and TPR at each threshold, each (T,) in [0, 1]; NaN where a class is missing."""
        false, true = self.counts(weights)
        with np.errstate(invalid="ignore"):
            return false / false[-1], true / true[-1]


def auc(labels: ArrayLike, margins: ArrayLike) -> float:
    """Area under the ROC curve (ties count half); NaN where a class is missing."""
    return area(*Ranking(labels, margins).rates())


def area(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Area under a ROC curve by the trapezoidal rule."""
    return float(np.trapezoid(tpr, fpr))


def best_threshold(labels: ArrayLike, margins: ArrayLike) -> float:
    """The margin that gives the highest balanced accuracy; of equals the nearest to 0.

    It lies halfway between two neighbouring margins, so that rounding cannot move an image across.
    """
    ranking = Ranking(labels, margins)
    fpr, tpr = ranking.rates()
    ranked = ranking.thresholds[1:]
    between = np.concatenate([[ranked[0] + 1], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] - 1]])
    balanced = tpr - fpr
    best = between[balanced >= balanced.max() - 1e-12]
    return float(best[np.abs(best).argmin()])
