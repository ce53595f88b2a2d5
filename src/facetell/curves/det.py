# SPDX-License-Identifier: Apache-2.0
"""Detection error trade-off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from facetell.curves.base import Curve, legend_label
from facetell.curves.over_thresholds import (
    FINEST,
    RATES,
    Band,
    Point,
    bootstrapped,
    draw_line,
    filled,
    frame_of,
    of_two_classes,
    rates_at_threshold,
    tpr_at_rates,
)
from facetell.metrics.ranking import WeightedRanking
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)  # of both axes
ENDS = 0.0005, 0.9995  # of both axes


@dataclass(frozen=True, eq=False)
class DetCurve(Curve):
    """Detection error trade-off (Martin et al. 1997), on normal-deviate axes.

    fpr, fnr, thresholds : (T,), rates in [0, 1] by falling threshold, the first infinite. In
        biometric terms FPR is BPCER, and FNR the share of attacks that pass. scikit-learn's
        ``det_curve`` goes the other way and omits the ends where one rate stays 0.
    eer : error rate where FPR = FNR. eer_interval, band (of FNR at fixed FPR), point (FPR and FNR
        at the threshold) : as of ``RocCurve``. name : of the model.

    The real score's curve is this one with its axes exchanged.

    >>> labels, margins = [0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> curve = DetCurve.from_predictions(labels, margins, threshold=0.5)
    >>> round(curve.eer, 4), curve.point.y
    (0.3333, 0.5)
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
    def from_scored(cls, scored: Scored, *, name: str | None = None) -> "DetCurve":
        """Compute the curve, once; arguments and errors as of ``from_predictions``."""
        scored = of_two_classes(scored, "fake", "a DET curve")
        ranking, point = scored.ranking, rates_at_threshold(scored)
        eer_interval, band = bootstrapped(
            scored, WeightedRanking.eer, lambda weighted: 1 - tpr_at_rates(weighted), RATES
        )
        return cls(
            ranking.rates()[0],
            (len(ranking.fakes) - ranking.fakes_at) / len(ranking.fakes),
            ranking.thresholds,
            float(ranking.weighted().eer()[0]),
            eer_interval,
            band,
            None if point is None else Point(point.x, 1 - point.y),
            name,
        )

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points: fpr, fnr, fpr_deviate, fnr_deviate (standard normal quantiles of the
        rates, which are held between 0.01% and 99.99%), and with a band fnr_low and fnr_high."""
        frame = frame_of("fpr", self.fpr, "fnr", self.fnr, self.band)
        for place, rate in ((2, "fpr"), (3, "fnr")):
            frame.insert(place, f"{rate}_deviate", deviate(frame[rate].to_numpy()))
        return frame

    def plot(self, ax: "Axes | None" = None, *, band: bool = True, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; arguments as of ``RocCurve``."""
        from facetell.common.figure_style import finished, panel

        axis = panel(ax)
        x, y = filled(self.fpr, self.fnr)
        style = {"label": legend_label(self.name, "EER", self.eer, self.eer_interval)} | style
        bounds, mark = self.band if band else None, self.point
        if bounds is not None:
            bounds = Band(*(deviate(part) for part in (bounds.grid, bounds.low, bounds.high)))
        if mark is not None:
            mark = Point(*(float(part) for part in deviate(mark)))
        draw_line(axis, (deviate(x), deviate(y)), bounds, mark, style)
        labels = [f"{100 * rate:g}%" for rate in TICKS]
        axis.set_xticks(norm.ppf(TICKS), labels)
        axis.set_yticks(norm.ppf(TICKS), labels)
        axis.set(xlim=norm.ppf(ENDS), ylim=norm.ppf(ENDS))
        axis.set(xlabel="false positive rate", ylabel="false negative rate")
        return finished(axis, ax)


def deviate(rates: ArrayLike) -> np.ndarray:
    """Standard normal quantiles of rates, which are held between ``FINEST`` and 1 - ``FINEST``.

    >>> deviate([0.0, 0.5, 0.975]).round(2).tolist()
    [-3.72, 0.0, 1.96]
    """
    return norm.ppf(np.clip(rates, FINEST, 1 - FINEST))
