"""Curves over all thresholds: ROC, DET and precision-recall.

Points go by falling threshold, the first above all images. Bands are pointwise: at each value of
the horizontal axis, the middle 95% of what the curve is there when persons are drawn anew
(percentile bootstrap; "vertical averaging" in Fawcett 2006). They say how sure each point is, not
that the whole curve lies within.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from facetell.curves.inputs import RESAMPLES, Groups, corners, draws_of, oriented
from facetell.metrics.intervals import LEVEL, Resamples, interval
from facetell.metrics.weighing import Ranked, Weighed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINEST = 1e-4  # the smallest rate on logarithmic and normal-deviate axes
EVENLY = np.linspace(0, 1, 101)
FINELY = np.geomspace(FINEST, 0.1, 46)
RATES = np.unique(np.concatenate([EVENLY, FINELY, 1 - FINELY]))  # where bands of ROC and DET lie
RECALLS = EVENLY[1:]


class Point(NamedTuple):
    """Where the verdicts at the frozen threshold lie on a curve."""

    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Band:
    """Bounds ``low`` and ``high`` (G,) of a curve's height on ``grid`` (G,)."""

    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both bounds at ``x``, linear between the grid's places."""
        return np.interp(x, self.grid, self.low), np.interp(x, self.grid, self.high)


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Receiver operating characteristic.

    fpr, tpr, thresholds : (T,), rates in [0, 1] by falling threshold; thresholds are margins of the
        positive class (the first infinite: nothing is called positive), equal to scikit-learn's
        ``roc_curve(..., drop_intermediate=False)``.
    auc : area below; ties count half. auc_interval : its 95% interval, None without groups.
    band : of TPR at fixed FPR, None without groups.
    point : FPR and TPR at the frozen threshold, None without one.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray
    auc: float
    auc_interval: list[float] | None
    band: Band | None
    point: Point | None
    positive: str = "fake"
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        margins: ArrayLike,
        *,
        threshold: float | None = None,
        groups: Groups = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
        positive: str = "fake",
        name: str | None = None,
    ) -> "RocCurve":
        """Compute the curve, once.

        Parameters
        ----------
        labels, margins : (N,), 1 = fake; fake logit - real logit, or what else rises with P(fake).
        threshold : of the verdicts, in the margins' unit: at or above it is fake.
        groups : (N,) the person of each image, for intervals and bands; or ``Resamples``.
        resamples, seed : of the bootstrap.
        positive : ``fake`` for the fake score; ``real`` for the real score, P(real).

        Raises
        ------
        UserError : all images are of one class. ValueError : labels or margins are none.
        """
        ranked, cut = oriented(labels, margins, threshold, positive, "a ROC curve")
        fpr, tpr = _rates(ranked)
        drawn = _drawn(ranked, draws_of(groups, len(ranked.labels), resamples, seed), Weighed.auc)
        return cls(
            fpr,
            tpr,
            -ranked.thresholds,
            _single(ranked, Weighed.auc),
            drawn[0],
            _band(RATES, drawn[1]),
            None if cut is None else Point(*_at(ranked, cut)),
            positive,
            name,
        )

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points, the corners: fpr, tpr, and with a band tpr_low and tpr_high."""
        return _frame("fpr", self.fpr, "tpr", self.tpr, self.band)

    def plot(self, ax: "Axes | None" = None, *, log: bool = False, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``log``: logarithmic FPR axis.

        ``style`` is matplotlib's, of the line; ``label`` replaces the name and AUC.
        """
        from facetell.report.figures import curves as draw

        return draw.roc_curve(self, ax, log=log, **style)


@dataclass(frozen=True, eq=False)
class DetCurve:
    """Detection error trade-off (Martin et al. 1997), on normal-deviate axes.

    fpr, fnr, thresholds : (T,), rates in [0, 1] by falling threshold, the first infinite. In
        biometric terms FPR is BPCER, and FNR the share of attacks that pass. scikit-learn's
        ``det_curve`` goes the other way and leaves out the ends where one rate stays 0.
    eer : error rate where FPR = FNR. eer_interval, band (of FNR at fixed FPR), point (FPR and FNR
        at the threshold) : as of ``RocCurve``.

    The real score's curve is this one with its axes exchanged.
    """

    fpr: np.ndarray
    fnr: np.ndarray
    thresholds: np.ndarray
    eer: float
    eer_interval: list[float] | None
    band: Band | None
    point: Point | None
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        margins: ArrayLike,
        *,
        threshold: float | None = None,
        groups: Groups = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
        name: str | None = None,
    ) -> "DetCurve":
        """Compute the curve, once; arguments and errors as of ``RocCurve.from_predictions``."""
        ranked, cut = oriented(labels, margins, threshold, "fake", "a DET curve")
        drawn = _drawn(ranked, draws_of(groups, len(ranked.labels), resamples, seed), Weighed.eer)
        fpr_at, tpr_at = (None, None) if cut is None else _at(ranked, cut)
        return cls(
            _rates(ranked)[0],
            (len(ranked.fakes) - ranked.fakes_at) / len(ranked.fakes),
            -ranked.thresholds,
            _single(ranked, Weighed.eer),
            drawn[0],
            _band(RATES, None if drawn[1] is None else 1 - drawn[1]),
            None if fpr_at is None or tpr_at is None else Point(fpr_at, 1 - tpr_at),
            name,
        )

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points: fpr, fnr, fpr_deviate, fnr_deviate (standard normal quantiles of the
        rates, which are held between 0.01% and 99.99%), and with a band fnr_low and fnr_high."""
        frame = _frame("fpr", self.fpr, "fnr", self.fnr, self.band)
        for place, rate in ((2, "fpr"), (3, "fnr")):
            frame.insert(place, f"{rate}_deviate", deviate(frame[rate].to_numpy()))
        return frame

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``style`` as of ``RocCurve``."""
        from facetell.report.figures import curves as draw

        return draw.det_curve(self, ax, **style)


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision against recall.

    recall, precision, thresholds : (T,) by falling threshold, the first infinite, where precision
        is 1 by convention; scikit-learn's ``precision_recall_curve`` goes the other way.
    ap : average precision, over steps of recall without interpolation. chance : the share of the
        positive class, the precision of a guess. band : of precision at fixed recall; ap_interval
        and point (recall and precision; no point where nothing is called positive) : as of
        ``RocCurve``.
    """

    recall: np.ndarray
    precision: np.ndarray
    thresholds: np.ndarray
    ap: float
    ap_interval: list[float] | None
    chance: float
    band: Band | None
    point: Point | None
    positive: str = "fake"
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        margins: ArrayLike,
        *,
        threshold: float | None = None,
        groups: Groups = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
        positive: str = "fake",
        name: str | None = None,
    ) -> "PrecisionRecallCurve":
        """Compute the curve, once; arguments and errors as of ``RocCurve.from_predictions``."""
        ranked, cut = oriented(labels, margins, threshold, positive, "a precision-recall curve")
        draws = draws_of(groups, len(ranked.labels), resamples, seed)
        drawn = _drawn(ranked, draws, Weighed.ap, _precisions)
        point = None
        if cut is not None and (ranked.margins >= cut).any():
            called = ranked.labels[ranked.margins >= cut]
            point = Point(_at(ranked, cut)[1], float(called.mean()))
        called_at = ranked.fakes_at + ranked.reals_at
        return cls(
            ranked.fakes_at / len(ranked.fakes),
            np.where(called_at == 0, 1.0, ranked.fakes_at / np.maximum(called_at, 1)),
            -ranked.thresholds,
            _single(ranked, Weighed.ap),
            drawn[0],
            len(ranked.fakes) / len(ranked.labels),
            _band(RECALLS, drawn[1]),
            point,
            positive,
            name,
        )

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points: recall, precision, and with a band precision_low and _high."""
        return _frame("recall", self.recall, "precision", self.precision, self.band)

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``style`` as of ``RocCurve``."""
        from facetell.report.figures import curves as draw

        return draw.precision_recall_curve(self, ax, **style)


def deviate(rates: ArrayLike) -> np.ndarray:
    """Standard normal quantiles of rates, which are held between ``FINEST`` and 1 - ``FINEST``."""
    return norm.ppf(np.clip(rates, FINEST, 1 - FINEST))


def _rates(ranked: Ranked) -> tuple[np.ndarray, np.ndarray]:
    return ranked.reals_at / len(ranked.reals), ranked.fakes_at / len(ranked.fakes)


def _at(ranked: Ranked, threshold: float) -> tuple[float, float]:
    """FPR and TPR of the verdicts at one threshold."""
    called = ranked.margins >= threshold
    return float(called[ranked.reals].mean()), float(called[ranked.fakes].mean())


def _single(ranked: Ranked, number: Callable[[Weighed], np.ndarray]) -> float:
    return float(number(ranked.under(np.ones((len(ranked.labels), 1))))[0])


def _heights(weighed: Weighed) -> np.ndarray:
    """TPR at each of ``RATES``, (R, G), linear between thresholds; the highest where it jumps."""
    ranked = weighed.ranked
    fpr = (weighed.reals[ranked.reals_at] / weighed.reals[-1]).T
    tpr = (weighed.fakes[ranked.fakes_at] / weighed.fakes[-1]).T
    # where x repeats, numpy.interp takes the last y: the highest
    return np.stack([np.interp(RATES, x, y) for x, y in zip(fpr, tpr, strict=True)])


def _precisions(weighed: Weighed) -> np.ndarray:
    """Precision at each of ``RECALLS``, (R, G): at the highest threshold that recalls as much."""
    ranked = weighed.ranked
    found, false = (weighed.fakes[ranked.fakes_at].T, weighed.reals[ranked.reals_at].T)
    rows = []
    for true, wrong in zip(found, false, strict=True):
        first = np.searchsorted(true, RECALLS * true[-1] - 1e-9)
        rows.append(true[first] / (true[first] + wrong[first]))
    return np.stack(rows)


def _drawn(
    ranked: Ranked,
    draws: Resamples | None,
    number: Callable[[Weighed], np.ndarray],
    heights: Callable[[Weighed], np.ndarray] = _heights,
) -> tuple[list[float] | None, np.ndarray | None]:
    """The interval of a number, and the curve's heights in each draw, (R, G); None without draws.

    A draw that lacks a class has neither.
    """
    if draws is None:
        return None, None
    numbers, curves = [], []
    for weights in draws.weights():
        fakes, reals = weights[ranked.fakes].sum(axis=0), weights[ranked.reals].sum(axis=0)
        weighed = ranked.under(weights[:, (fakes > 0) & (reals > 0)])
        if weighed.fake.shape[1]:
            numbers.append(number(weighed))
            curves.append(heights(weighed))
    if not numbers:  # persons so few that no draw has both classes
        return None, None
    return interval(np.concatenate(numbers)), np.concatenate(curves)


def _band(grid: np.ndarray, heights: np.ndarray | None) -> Band | None:
    if heights is None:
        return None
    tail = 100 * (1 - LEVEL) / 2
    return Band(grid, *np.percentile(heights, [tail, 100 - tail], axis=0))


def _frame(x: str, across: np.ndarray, y: str, up: np.ndarray, band: Band | None) -> pd.DataFrame:
    kept = corners(across, up)
    frame = pd.DataFrame({x: across[kept], y: up[kept]})
    if band is not None:
        frame[f"{y}_low"], frame[f"{y}_high"] = band.at(across[kept])
    return frame
