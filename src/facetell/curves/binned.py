"""Scores counted in bins: histograms of both classes, and reliability diagrams.

Their bands are Wilson's 95% intervals of each bin's share, at the effective number of images where
persons have several (``facetell.metrics.intervals.wilson``); a bootstrap would say of a bin with
three fakes and no real image that it cannot be otherwise.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.curves.inputs import RESAMPLES, Groups, draws_of
from facetell.metrics.calibration import BINS, bins, calibration_error
from facetell.metrics.intervals import pivotal, wilson
from facetell.metrics.weighing import Ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDEST = 12.0  # margins beyond (scores within 1e-5 of 0 or 1) are counted in the outermost bins
BARS = 30  # bins of a histogram


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Where the scores of real and of fake images lie.

    Bins are of equal width in the margin, the logit of P(fake): near 0 and 1, where most scores of
    a trained network lie, the score itself would put all into one bin. The outermost bins hold what
    lies beyond, infinite margins too.

    edges : (B + 1,) margins. counts, shares, low, high : by class (``real``, ``fake``), (B,):
    images, share of the class's images, and its interval (empty without groups). threshold : a
    margin.
    """

    edges: np.ndarray
    counts: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]
    threshold: float | None
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
        number: int = BARS,
    ) -> "ScoreHistogram":
        """Count the images, once, in ``number`` bins; a class that is missing is absent.

        The other arguments are those of ``facetell.curves.RocCurve.from_predictions``; nothing is
        drawn at random, so that resamples and seed are of no consequence.
        """
        ranked = Ranked(labels, margins)
        draws = draws_of(groups, len(ranked.labels), resamples, seed)
        edges = _edges(ranked.margins, threshold, number)
        place = np.searchsorted(edges[1:-1], ranked.margins, "right")
        counts, shares, low, high = {}, {}, {}, {}
        for label, which in enumerate(CLASSES):
            rows = np.flatnonzero(ranked.labels == label)
            if not len(rows):
                continue
            counts[which] = np.bincount(place[rows], minlength=number)
            shares[which] = counts[which] / len(rows)
            if draws is not None:
                inside = place[rows] == np.arange(number)[:, None]
                limits = [wilson(row, draws.member[rows]) for row in inside]
                low[which], high[which] = np.array(limits).T
        return cls(edges, counts, shares, low, high, threshold, name)

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
        from facetell.report.figures import scores as draw

        return draw.score_histogram(self, ax, **style)


@dataclass(frozen=True, eq=False)
class ReliabilityDiagram:
    """Whether of the images with P(fake) = p a share of p is fake.

    edges : (B + 1,) of P(fake), of equal width. predicted, observed : (B,), the mean P(fake) of a
    bin's images and the share of fakes, NaN in an empty bin; scikit-learn's ``calibration_curve``
    gives those of bins that are not empty. counts : (B,). low, high : (B,), interval of observed,
    None without groups. ece : expected calibration error, with ece_interval (pivotal bootstrap,
    None without groups).

    For what temperature scaling makes of them, give margins / temperature.
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
    ) -> "ReliabilityDiagram":
        """Compute the diagram, once; arguments as of ``facetell.curves.RocCurve.from_predictions``.

        One class alone is allowed: its scores may be calibrated or not.
        """
        ranked = Ranked(labels, margins)
        label, number = ranked.labels, len(ranked.labels)
        place, score = bins(ranked.margins), expit(ranked.margins)
        inside = place[:, None] == np.arange(BINS)
        stacked = np.column_stack([inside, inside * score[:, None], inside * label[:, None]])
        counts, predicted, observed = np.split(stacked.sum(axis=0), 3)
        ece = float(calibration_error(counts, predicted, observed))
        draws, low, high, limits = draws_of(groups, number, resamples, seed), None, None, None
        if draws is not None:
            limits = pivotal(calibration_error(*np.split(draws.sums(stacked), 3, axis=1)), ece)
            low, high = np.full((2, BINS), np.nan)
            for bin_ in np.unique(place):
                rows = place == bin_
                low[bin_], high[bin_] = wilson(label[rows] == 1, draws.member[rows])
        with np.errstate(invalid="ignore"):
            shares = predicted / counts, observed / counts
        edges, whole = np.linspace(0, 1, BINS + 1), counts.astype(int)
        return cls(edges, *shares, whole, low, high, ece, limits, threshold, name)

    def to_frame(self) -> pd.DataFrame:
        """A row for each bin that is not empty: score_from, score_to, predicted, observed, count,
        and with groups observed_low and observed_high."""
        frame = pd.DataFrame({"score_from": self.edges[:-1], "score_to": self.edges[1:]})
        frame = frame.assign(predicted=self.predicted, observed=self.observed, count=self.counts)
        if self.low is not None:
            frame = frame.assign(observed_low=self.low, observed_high=self.high)
        return frame[frame["count"] > 0].reset_index(drop=True)

    def plot(self, ax: "Axes | None" = None, **style: Any) -> "Axes":
        """Draw into ``ax`` (None: a new figure) and return it; ``style`` is that of the line."""
        from facetell.report.figures import scores as draw

        return draw.reliability_diagram(self, ax, **style)


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
