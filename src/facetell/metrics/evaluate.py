# SPDX-License-Identifier: Apache-2.0
"""The numbers of one test set, with 95% intervals, from labels, margins and a frozen threshold.

Label 1 = fake; rates are in [0, 1]. Biometric terms follow ISO/IEC 30107-3: a fake is an attack
and its generator the species, so that APCER is the share of a generator's fakes that pass as real
(of the worst generator, where one number is wanted), BPCER the share of real images called fake,
and ACER the mean of the two.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from facetell.metrics.calibration import BINS, bins, calibration_error
from facetell.metrics.intervals import Resamples, intervals_of, once, pivotal, wilson
from facetell.metrics.losses import log_losses, squared_errors
from facetell.metrics.ranking import Ranking, WeightedRanking

Numbers = dict[str, Any]
Draws = dict[str, np.ndarray]  # by name of the number, (R,)
Parts = dict[str, np.ndarray]  # by generator, indices of its fakes by rising margin
Rows = np.ndarray | slice
ALL = slice(None)
RATES = ("accuracy", "accuracy_real", "accuracy_fake")  # with Wilson's interval
TPR_AT = {"tpr_at_fpr_1pct": 0.01, "tpr_at_fpr_01pct": 0.001}
BPCER_AT = {"bpcer_at_apcer_5pct": 0.05, "bpcer_at_apcer_1pct": 0.01}


@dataclass
class Evaluation:
    """What ``evaluate`` returns: everything by the name of the number.

    values : the numbers. draws : their bootstrap draws, (R,). intervals : [low, high] of 95%.
    left_out : the numbers that were omitted, with the reason.

    >>> Evaluation({"auc": 0.9}, intervals={"auc": [0.8, 0.95]}).numbers()
    {'auc': 0.9, 'interval': {'auc': [0.8, 0.95]}}
    """

    values: dict[str, float]
    draws: Draws = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def numbers(self) -> Numbers:
        """Values with ``left_out`` and ``interval``, as metrics/models/<model>.json has them."""
        found: Numbers = dict(self.values)
        if self.left_out:
            found["left_out"] = self.left_out
        if self.intervals:
            found["interval"] = self.intervals
        return found


def evaluate(
    labels: ArrayLike,
    margins: ArrayLike,
    threshold: float,
    draws: Resamples | None = None,
    *,
    rows: Rows = ALL,
    generators: ArrayLike | None = None,
) -> Evaluation:
    """All numbers of a test set, or of a part of it.

    Parameters
    ----------
    labels, margins : (N,), 1 = fake; infinite margins are allowed.
    threshold : a margin; at or above it the verdict is fake. It is reported as a score, beside
        ``threshold_margin``.
    draws : of the test set, of which ``rows`` (N of them) are judged here; None: no intervals.
    generators : (N,), the generator of each fake; given, numbers at operating points are computed
        too.

    Numbers that a missing class leaves undefined are absent. Numbers that need more images are
    omitted, with the reason: a rate of 1% needs 100 images, of which one may be wrong.

    Raises
    ------
    ValueError : labels or margins are not as ``facetell.metrics.ranking.Ranking`` needs them.

    >>> labels, margins = [0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> found = evaluate(labels, margins, 0.5, Resamples(list("aabbc"), resamples=50))
    >>> round(found.values["accuracy"], 2), round(found.values["auc"], 4)
    (0.6, 0.8333)
    >>> [round(bound, 2) for bound in found.intervals["accuracy"]]
    [0.16, 0.92]
    """
    ranking = Ranking(labels, margins)
    labels, margins = ranking.labels, ranking.margins
    parts = _of_generators(ranking, generators)
    left_out = _left_out(ranking, parts)

    def measured(resamples: Resamples, within: Rows) -> Draws:
        found = _linear(ranking, threshold, resamples, within, parts)
        if ranking.two_classes:
            found |= _by_rank(ranking, resamples, within, parts)
        return {name: value for name, value in found.items() if name not in left_out}

    values: dict[str, Any] = {"n": len(labels), "n_real": len(ranking.reals)}
    values["n_fake"] = len(ranking.fakes)
    values |= {name: float(value[0]) for name, value in measured(once(len(labels)), ALL).items()}
    values["threshold"], values["threshold_margin"] = float(expit(threshold)), float(threshold)
    found = Evaluation(values, left_out=left_out)
    if draws is not None:
        found.draws = measured(draws, rows)
        right = (margins >= threshold) == (labels == 1)
        found.intervals = _intervals(found, right, labels, parts, draws.member[rows])
    return found


def _of_generators(ranking: Ranking, generators: ArrayLike | None) -> Parts:
    if generators is None:
        return {}
    names = np.asarray(generators)[ranking.fakes[::-1]]
    return {str(name): ranking.fakes[::-1][names == name] for name in np.unique(names)}


def _left_out(ranking: Ranking, parts: Parts) -> dict[str, str]:
    """Numbers that need more images, or that an infinite margin forbids, with the reason."""
    found = {}
    extreme = np.isinf(ranking.margins)
    if (extreme & ((ranking.margins > 0) != (ranking.labels == 1))).any():
        found["log_loss"] = "an infinite margin is on the wrong side"
    if not parts:
        return found
    if not ranking.two_classes:
        return found | {"auc": "all images are fake: there is nothing to tell apart"}
    for name, level in TPR_AT.items():
        if len(ranking.reals) < round(1 / level):
            found[name] = (
                f"{_counted(len(ranking.reals), 'real image')}; {1 / level:,.0f} are needed"
            )
    smallest, places = min(parts.items(), key=lambda part: len(part[1]))
    of_it = f" of {smallest}" * (len(parts) > 1)
    for name, level in BPCER_AT.items():
        if len(places) < round(1 / level):
            found[name] = f"{_counted(len(places), 'fake')}{of_it}; {1 / level:,.0f} are needed"
    return found


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _linear(
    ranking: Ranking, threshold: float, draws: Resamples, rows: Rows, parts: Parts
) -> Draws:
    """Numbers from sums over the images: verdicts at the threshold, and calibration."""
    labels, margins = ranking.labels, ranking.margins
    fake, verdict, score = labels == 1, margins >= threshold, expit(margins)
    losses = log_losses(labels, margins)
    columns = [fake, ~fake, verdict & fake, verdict & ~fake, squared_errors(labels, margins)]
    columns += [np.where(np.isfinite(losses), losses, 0)]
    in_bin = bins(margins)[:, None] == np.arange(BINS)
    of_parts = np.zeros((len(labels), 2 * len(parts)), dtype=bool)
    for column, places in enumerate(parts.values()):
        of_parts[places, 2 * column] = True
        of_parts[places, 2 * column + 1] = ~verdict[places]
    stacked = np.column_stack([*columns, in_bin, in_bin * score[:, None], in_bin & fake[:, None]])
    sums = draws.sums(np.column_stack([stacked, of_parts]), rows)
    fakes, reals, hits, alarms, squares, loss = sums[:, :6].T
    number, predicted, observed = np.split(sums[:, 6 : 6 + 3 * BINS], 3, axis=1)
    per_part = sums[:, 6 + 3 * BINS :]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"accuracy": (hits + reals - alarms) / (fakes + reals)}
        if len(ranking.reals):
            found["accuracy_real"] = 1 - alarms / reals
        if len(ranking.fakes):
            found |= {"accuracy_fake": hits / fakes, "f1": 2 * hits / (hits + alarms + fakes)}
        found |= {"brier": squares / (fakes + reals), "log_loss": loss / (fakes + reals)}
        found["ece"] = calibration_error(number, predicted, observed)
        if parts and ranking.two_classes:
            found["bpcer"] = alarms / reals
            # fmax: the worst of the generators that were drawn
            found["apcer"] = np.fmax.reduce(per_part[:, 1::2] / per_part[:, ::2], axis=1)
            found["acer"] = (found["apcer"] + found["bpcer"]) / 2
    return found


def _by_rank(ranking: Ranking, draws: Resamples, rows: Rows, parts: Parts) -> Draws:
    """Numbers that depend on the order of the images."""
    found: dict[str, list[np.ndarray]] = {}
    for weights in draws.weights(rows):
        weighted = ranking.weighted(weights)
        numbers = {"auc": weighted.auc(), "ap": weighted.ap(), "eer": weighted.eer()}
        if parts:
            numbers |= {name: weighted.tpr_at(level) for name, level in TPR_AT.items()}
            for name, level in BPCER_AT.items():
                numbers[name] = _bpcer_at(weighted, weights, parts, level)
        for name, value in numbers.items():
            found.setdefault(name, []).append(value)
    return {name: np.concatenate(values) for name, values in found.items()}


def _bpcer_at(
    weighted: WeightedRanking, weights: np.ndarray, parts: Parts, level: float
) -> np.ndarray:
    """The lowest BPCER of a threshold at which no generator's APCER is above ``level``."""
    margins, lowest = weighted.ranking.margins, np.full(weights.shape[1], np.inf)
    for places in parts.values():
        passed = np.cumsum(weights[places], axis=0, dtype=float)
        allowed = (passed <= level * passed[-1]).sum(axis=0).clip(max=len(places) - 1)
        lowest = np.minimum(lowest, margins[places][allowed])
    return weighted.fpr_from(lowest)


def _intervals(
    found: Evaluation,
    right: np.ndarray,
    labels: np.ndarray,
    parts: Parts,
    member: np.ndarray,
) -> dict[str, list[float]]:
    """Wilson's for rates, otherwise the bootstrap's; ``right`` (N,) says which verdicts are."""
    chosen = dict(zip(RATES, (labels >= 0, labels == 0, labels == 1), strict=True))
    limits: dict[str, list[float]] = {}
    for name, drawn in found.draws.items():
        if name in chosen:
            limits[name] = wilson(right[chosen[name]], member[chosen[name]])
        elif name == "bpcer":
            limits[name] = [1 - bound for bound in reversed(limits["accuracy_real"])]
        elif name == "apcer":
            worst = max(parts.values(), key=lambda places: (~right[places]).mean())
            limits[name] = wilson(~right[worst], member[worst])
        elif name == "ece" and not np.isnan(drawn).all():
            limits[name] = pivotal(drawn, found.values[name])
        else:
            limits |= intervals_of({name: drawn})
    return limits
