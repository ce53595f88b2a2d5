# SPDX-License-Identifier: Apache-2.0
"""Receiver operating characteristic."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

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


@dataclass(frozen=True, eq=False)
class RocCurve(Curve):
    """Receiver operating characteristic.

    fpr, tpr, thresholds : (T,), rates in [0, 1] by falling threshold; thresholds are margins of the
        positive class (the first infinite: nothing is called positive), equal to scikit-learn's
        ``roc_curve(..., drop_intermediate=False)``.
    auc : area below; ties count half. auc_interval : its 95% interval, None without groups.
    band : of TPR at fixed FPR, None without groups.
    point : FPR and TPR at the frozen threshold, None without one.
    positive : the class that is looked for, ``fake`` or ``real``. name : of the model.

    >>> labels, margins = [0, 0, 1, 0, 1], [-2.0, -1.0, 0.0, 1.0, 2.0]
    >>> curve = RocCurve.from_predictions(labels, margins, threshold=0.5)
    >>> round(curve.auc, 4), curve.point
    (0.8333, Point(x=0.3333333333333333, y=0.5))
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
    def from_scored(
        cls, scored: Scored, *, positive: str = "fake", name: str | None = None
    ) -> "RocCurve":
        """Compute the curve, once; arguments and errors as of ``from_predictions``."""
        scored = of_two_classes(scored, positive, "a ROC curve")
        ranking = scored.ranking
        auc_interval, band = bootstrapped(scored, WeightedRanking.auc, tpr_at_rates, RATES)
        return cls(
            *ranking.rates(),
            ranking.thresholds,
            float(ranking.weighted().auc()[0]),
            auc_interval,
            band,
            rates_at_threshold(scored),
            positive,
            name,
        )

    @property
    def smallest_rate(self) -> float:
        """The FPR that one image makes, or what is near it and can be drawn: 0.0001 to 0.05."""
        return float(np.clip(self.fpr[self.fpr > 0].min(), FINEST, 0.05))

    def to_frame(self) -> pd.DataFrame:
        """At most 200 points, the corners: fpr, tpr, and with a band tpr_low and tpr_high."""
        return frame_of("fpr", self.fpr, "tpr", self.tpr, self.band)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        log: bool = False,
        start: float | None = None,
        band: bool = True,
        **style: Any,
    ) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it.

        ``log`` : logarithmic FPR axis, from ``start``, or from ``smallest_rate``. ``band`` : draw
        the band, if there is one. ``style`` : matplotlib's, of the line, but ``marker`` is that of
        the operating point; ``label`` replaces the name and AUC.
        """
        from matplotlib.ticker import FuncFormatter

        from facetell.common.figure_style import finished, panel

        axis = panel(ax)
        x, y = filled(self.fpr, self.tpr) if log else (self.fpr, self.tpr)
        start = (start or self.smallest_rate) if log else None
        if start is not None:
            x = np.maximum(x, start)
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        style = {"label": legend_label(self.name, "AUC", self.auc, self.auc_interval)} | style
        draw_line(axis, (x, y), self.band if band else None, self.point, style, start)
        axis.set(xlabel="false positive rate", ylabel="true positive rate", ylim=(0, 1.01))
        axis.set_xlim(-0.01 if start is None else start, 1)
        return finished(axis, ax)
