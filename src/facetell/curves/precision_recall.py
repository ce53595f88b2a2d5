# SPDX-License-Identifier: Apache-2.0
"""Precision against recall."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facetell.curves.base import Curve, legend_label
from facetell.curves.over_thresholds import (
    EVENLY,
    Band,
    Point,
    bootstrapped,
    draw_line,
    frame_of,
    of_two_classes,
    rates_at_threshold,
)
from facetell.metrics.ranking import WeightedRanking
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECALLS = EVENLY[1:]  # where the band lies


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve(Curve):
    """Precision against recall.

    recall, precision, thresholds : (T,) by falling threshold, the first infinite, where precision
        is 1 by convention; scikit-learn's ``precision_recall_curve`` goes the other way.
    ap : average precision, over steps of recall without interpolation. chance : the share of the
        positive class, the precision of a guess. band : of precision at fixed recall; ap_interval
        and point (recall and precision; None where nothing is called positive), positive and
        name : as of ``RocCurve``.

    >>> labels, margins = [0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> curve = PrecisionRecallCurve.from_predictions(labels, margins, threshold=0.5)
    >>> round(curve.ap, 4), curve.chance, curve.point
    (0.8333, 0.4, Point(x=0.5, y=0.5))
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
    def from_scored(
        cls, scored: Scored, *, positive: str = "fake", name: str | None = None
    ) -> "PrecisionRecallCurve":
        """Compute the curve, once; arguments and errors as of ``from_predictions``."""
        scored = of_two_classes(scored, positive, "a precision-recall curve")
        ranking = scored.ranking
        called = ranking.fakes_at + ranking.reals_at
        ap_interval, band = bootstrapped(scored, WeightedRanking.ap, _precisions, RECALLS)
        return cls(
            ranking.rates()[1],
            np.where(called == 0, 1.0, ranking.fakes_at / np.maximum(called, 1)),
            ranking.thresholds,
            float(ranking.weighted().ap()[0]),
            ap_interval,
            len(ranking.fakes) / len(ranking.labels),
            band,
            _point(scored),
            positive,
            name,
        )

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points: recall, precision, and with a band precision_low and _high."""
        return frame_of("recall", self.recall, "precision", self.precision, self.band)

    def plot(self, ax: "Axes | None" = None, *, band: bool = True, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; arguments as of ``RocCurve``.

        The line has the steps over which average precision is a sum.
        """
        from facetell.common.figure_style import finished, panel

        axis = panel(ax)
        style = {"label": legend_label(self.name, "AP", self.ap, self.ap_interval)} | style
        style["drawstyle"] = "steps-pre"
        line = self.recall, self.precision
        draw_line(axis, line, self.band if band else None, self.point, style)
        axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
        return finished(axis, ax)


def _point(scored: Scored) -> Point | None:
    """Recall and precision of the verdicts."""
    rates = rates_at_threshold(scored)
    if rates is None:
        return None
    called = scored.labels[scored.margins >= scored.threshold]
    return Point(rates.y, float(called.mean())) if len(called) else None


def _precisions(weighted: WeightedRanking) -> np.ndarray:
    """Precision at each of ``RECALLS``, (R, G): at the highest threshold with as much recall."""
    reals, fakes = weighted.counts()
    rows = []
    for true, wrong in zip(fakes.T, reals.T, strict=True):
        first = np.searchsorted(true, RECALLS * true[-1] - 1e-9)
        rows.append(true[first] / (true[first] + wrong[first]))
    return np.stack(rows)
