"""The numbers of one test set, from labels and margins (see ``facetell.ranking``) alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from facetell.ranking import Ranking, area


def average_precision(false: np.ndarray, true: np.ndarray) -> float:
    """Mean precision over recall steps, without interpolation (as in scikit-learn)."""
    with np.errstate(invalid="ignore"):
        precision = true[1:] / (true[1:] + false[1:])
        return float(np.nansum(np.diff(true) / true[-1] * precision))


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """The error rate where FPR = FNR, on the straight line between the two nearest points."""
    gap = fpr - (1 - tpr)  # rises from -1 to 1
    at = int(np.argmax(gap >= 0))
    if at == 0:
        return float(fpr[0])
    share = -gap[at - 1] / (gap[at] - gap[at - 1])
    return float(fpr[at - 1] + share * (fpr[at] - fpr[at - 1]))


def tpr_at_fpr(fpr: np.ndarray, tpr: np.ndarray, level: float) -> float:
    """The highest TPR that some threshold reaches with an FPR of at most ``level``."""
    return float(tpr[fpr <= level].max())


def evaluate(labels: ArrayLike, margins: ArrayLike, threshold: float) -> dict[str, Any]:
    """The numbers of one test set; what a missing class leaves undefined is left out.

    Rates are in [0, 1]. ``threshold`` is a margin; it is reported as a score, beside
    ``threshold_margin``.
    """
    labels, margins = np.asarray(labels), np.asarray(margins, dtype=float)
    verdicts = margins >= threshold
    fakes, reals = labels == 1, labels == 0
    found: dict[str, Any] = {"n": len(labels), "n_real": int(reals.sum())}
    found["n_fake"] = int(fakes.sum())
    found["accuracy"] = float((verdicts == fakes).mean())
    if reals.any():
        found["accuracy_real"] = float((~verdicts[reals]).mean())
    if fakes.any():
        found["accuracy_fake"] = float(verdicts[fakes].mean())
        found["f1"] = float(2 * (verdicts & fakes).sum() / (verdicts.sum() + fakes.sum()))
    if reals.any() and fakes.any():
        ranking = Ranking(labels, margins)
        fpr, tpr = ranking.rates()
        found["auc"] = area(fpr, tpr)
        found["ap"] = average_precision(*ranking.counts())
        found["eer"] = equal_error_rate(fpr, tpr)
        found["tpr_at_fpr_1pct"] = tpr_at_fpr(fpr, tpr, 0.01)
    found["threshold"] = float(1 / (1 + np.exp(-threshold)))
    found["threshold_margin"] = float(threshold)
    return found


def intervals(
    labels: ArrayLike,
    margins: ArrayLike,
    threshold: float,
    groups: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, list[float]]:
    """Percentile bootstrap intervals of accuracy (overall, real, fake) and AUC.

    Whole ``groups`` (persons) are drawn with replacement, since images of one person are not
    independent; draws that lack a class are left out.
    """
    labels, margins = np.asarray(labels), np.asarray(margins, dtype=float)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    persons = int(member.max()) + 1
    ranking = Ranking(labels, margins)
    right = (margins >= threshold) == (labels == 1)
    fake = labels == 1
    draws: dict[str, list[float]] = {"accuracy": []}
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        weights = np.bincount(random.integers(persons, size=persons), minlength=persons)[member]
        draws["accuracy"].append(weights @ right / weights.sum())
        for name, chosen in (("accuracy_real", ~fake), ("accuracy_fake", fake)):
            if total := weights[chosen].sum():
                draws.setdefault(name, []).append(weights[chosen] @ right[chosen] / total)
        if weights[fake].sum() and weights[~fake].sum():
            draws.setdefault("auc", []).append(area(*ranking.rates(weights)))
    tail = 100 * (1 - level) / 2
    return {
        name: [float(bound) for bound in np.percentile(values, [tail, 100 - tail])]
        for name, values in draws.items()
    }
