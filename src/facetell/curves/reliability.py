# SPDX-License-Identifier: Apache-2.0
"""Reliability diagram: the share of fakes against P(fake)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from facetell.curves.base import Curve, legend_label
from facetell.metrics.calibration import BINS, bins, calibration_error
from facetell.metrics.intervals import pivotal, wilson
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST, LARGEST = 4, 60  # area of a mark (points^2), by the bin's images


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram(Curve):
    """Whether, among images with P(fake) = p, a share of p is fake.

    edges : (B + 1,) of P(fake), of equal width. predicted, observed : (B,), the mean P(fake) of a
        bin's images and the share of fakes, NaN in an empty bin; scikit-learn's
        ``calibration_curve`` gives those of bins that are not empty.
    counts : (B,) images. low, high : (B,), 95% interval of observed, None without groups: Wilson's,
        at the effective number of images where persons have several. (A bootstrap would say that a
        bin with three fakes and no real image is certain to have no other.)
    ece : expected calibration error, with ece_interval (pivotal bootstrap, None without groups).
    threshold : a margin, or None. name : of the model.

    For the diagram after temperature scaling, give margins / temperature.

    >>> diagram = ReliabilityDiagram.from_predictions([0, 1, 1, 1], [0.0, 0.0, 0.0, 0.0])
    >>> diagram.to_frame()[["predicted", "observed", "count"]].to_dict("list")
    {'predicted': [0.5], 'observed': [0.75], 'count': [4]}
    >>> diagram.ece
    0.25
    """

    edges: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    ece: float
    ece_interval: list[float] | None
    threshold: float | None
    name: str | None = None

    @classmethod
    def from_scored(cls, scored: Scored, *, name: str | None = None) -> "ReliabilityDiagram":
        """Compute the diagram, once; arguments as of ``from_predictions``.

        One class alone is allowed: its scores may be calibrated or not.
        """
        place, score = bins(scored.margins), expit(scored.margins)
        inside = place[:, None] == np.arange(BINS)
        stacked = np.column_stack(
            [inside, inside * score[:, None], inside * scored.labels[:, None]]
        )
        counts, predicted, observed = np.split(stacked.sum(axis=0), 3)
        ece = float(calibration_error(counts, predicted, observed))
        draws, low, high, limits = scored.groups, None, None, None
        if draws is not None:
            limits = pivotal(calibration_error(*np.split(draws.sums(stacked), 3, axis=1)), ece)
            low, high = np.full((2, BINS), np.nan)
            for bin_ in np.unique(place):
                rows = place == bin_
                low[bin_], high[bin_] = wilson(scored.labels[rows] == 1, draws.member[rows])
        with np.errstate(invalid="ignore"):
            shares = predicted / counts, observed / counts
        edges, whole = np.linspace(0, 1, BINS + 1), counts.astype(int)
        return cls(edges, *shares, whole, low, high, ece, limits, scored.threshold, name)

    def to_frame(self) -> pd.DataFrame:
        """A row for each bin that is not empty: score_from, score_to, predicted, observed, count,
        and with groups observed_low and observed_high."""
        frame = pd.DataFrame({"score_from": self.edges[:-1], "score_to": self.edges[1:]})
        frame = frame.assign(predicted=self.predicted, observed=self.observed, count=self.counts)
        if self.low is not None:
            frame = frame.assign(observed_low=self.low, observed_high=self.high)
        return frame[frame["count"] > 0].reset_index(drop=True)

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``style`` is that of the line.

        The area of a mark grows with the bin's images.
        """
        from facetell.common.figure_style import finished, panel

        axis = panel(ax)
        label = legend_label(self.name, "ECE", self.ece, self.ece_interval)
        style = dict[str, Any](label=label, linewidth=1.4) | style
        kept = self.counts > 0
        x, y = self.predicted[kept], self.observed[kept]
        axis.axline((0, 0), slope=1, color="0.6", linewidth=1)
        (line,) = axis.plot(x, y, **style)
        if self.low is not None and self.high is not None:
            bounds = np.abs(np.stack([self.low[kept] - y, self.high[kept] - y]))
            axis.errorbar(x, y, bounds, color=line.get_color(), linestyle="none", elinewidth=0.8)
        share = self.counts[kept] / self.counts.max()
        size = SMALLEST + (LARGEST - SMALLEST) * share
        axis.scatter(x, y, s=size, color=line.get_color(), zorder=4)
        axis.set(xlabel="P(fake)", ylabel="share of fakes", xlim=(0, 1), ylim=(-0.02, 1.02))
        return finished(axis, ax)
