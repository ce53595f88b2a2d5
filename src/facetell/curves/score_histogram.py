# SPDX-License-Identifier: Apache-2.0
"""Histogram of the scores of both classes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.curves.base import Curve
from facetell.metrics.intervals import wilson
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDEST = 12.0  # margins beyond (scores within 1e-5 of 0 or 1) are counted in the outermost bins
BARS = 30  # bins of a histogram
DASHES = {"real": "-", "fake": "--"}


@dataclass(frozen=True, eq=False)
class ScoreHistogram(Curve):
    """Where the scores of real and of fake images lie.

    Bins are of equal width in the margin, the logit of P(fake): near 0 and 1, where most scores of
    a trained network lie, the score itself would put all into one bin. The outermost bins hold what
    lies beyond, infinite margins too.

    edges : (B + 1,) margins. counts, shares, low, high : by class (``real``, ``fake``), (B,):
        images, share of the class's images, and the share's 95% interval (empty without groups):
        Wilson's, at the effective number of images where persons have several. (A bootstrap would
        say that a bin without images is certain to be empty.)
    threshold : a margin, or None. name : of the model.

    >>> histogram = ScoreHistogram.from_predictions([0, 0, 1, 1], [-2.0, -1.0, 0.0, 2.0], number=4)
    >>> {which: count.tolist() for which, count in histogram.counts.items()}
    {'real': [1, 1, 0, 0], 'fake': [0, 0, 1, 1]}
    """

    edges: np.ndarray
    counts: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    threshold: float | None
    name: str | None = None

    @classmethod
    def from_scored(
        cls, scored: Scored, *, number: int = BARS, name: str | None = None
    ) -> "ScoreHistogram":
        """Count the images, once, in ``number`` bins (at least 2, else UserError).

        A class without images is absent. The other arguments are those of ``from_predictions``;
        no interval is drawn at random, so that resamples and seed have no effect.
        """
        edges = _edges(scored.margins, scored.threshold, number)
        place = np.searchsorted(edges[1:-1], scored.margins, "right")
        counts, shares, low, high = {}, {}, {}, {}
        for label, which in enumerate(CLASSES):
            rows = np.flatnonzero(scored.labels == label)
            if not len(rows):
                continue
            counts[which] = np.bincount(place[rows], minlength=number)
            shares[which] = counts[which] / len(rows)
            if scored.groups is not None:
                inside = place[rows] == np.arange(number)[:, None]
                limits = [wilson(row, scored.groups.member[rows]) for row in inside]
                low[which], high[which] = np.array(limits).T
        return cls(edges, counts, shares, low, high, scored.threshold, name)

    def to_frame(self) -> pd.DataFrame:
        """A row for each class and bin: class, margin_from, margin_to, count, share, and with
        groups share_low and share_high. Scores are the margins' sigmoid."""
        parts = []
        for which, count in self.counts.items():
            part = {"class": which, "margin_from": self.edges[:-1], "margin_to": self.edges[1:]}
            part |= {"count": count, "share": self.shares[which]}
            if self.low:
                part |= {"share_low": self.low[which], "share_high": self.high[which]}
            parts.append(pd.DataFrame(part))
        return pd.concat(parts, ignore_index=True)

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``style`` is of both outlines."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        from facetell.common.figure_style import CLASS_COLOURS, finished, panel

        axis = panel(ax)
        for which, shares in self.shares.items():
            colour = CLASS_COLOURS[which]
            drawn: dict[str, Any] = {"color": colour, "linestyle": DASHES[which], "linewidth": 1.5}
            axis.stairs(shares, self.edges, **(drawn | {"label": which} | style))
            if self.low:
                # an empty bin's bound says only how many images there are: not worth a band
                top = np.where(shares > 0, self.high[which], np.nan)
                axis.stairs(
                    top, self.edges, baseline=self.low[which], fill=True, color=colour, alpha=0.15
                )
        if self.threshold is not None:
            axis.axvline(self.threshold, color="black", linewidth=1, label="threshold")
        axis.set(xlabel="margin (logit of P(fake))", ylabel="share of the class's images")
        axis.set(xlim=(self.edges[0], self.edges[-1]), title=self.name or "")
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        return finished(axis, ax)


def _edges(margins: np.ndarray, threshold: float | None, number: int) -> np.ndarray:
    """From the smallest to the largest finite margin, the threshold included."""
    if number < 2:
        raise UserError(f"number: a histogram needs at least 2 bins, not {number}")
    finite = margins[np.isfinite(margins)]
    if threshold is not None and np.isfinite(threshold):
        finite = np.append(finite, threshold)
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    low, high = max(low, -WIDEST), min(high, WIDEST)
    if high - low < 1e-6:  # all alike
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, number + 1)
