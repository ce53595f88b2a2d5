# SPDX-License-Identifier: Apache-2.0
"""What curves over all thresholds share: ROC, DET and precision-recall.

Points go by falling threshold, the first above all images. Bands are pointwise: at each value of
the horizontal axis, the middle 95% of the curve's heights there when persons are drawn anew
(percentile bootstrap; "vertical averaging" in Fawcett 2006). They say how certain each point is,
not that the whole curve lies within.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.metrics.intervals import LEVEL, interval
from facetell.metrics.ranking import WeightedRanking
from facetell.metrics.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 200  # kept per curve: the eye and a text diff need no more
FINEST = 1e-4  # the smallest rate on logarithmic and normal-deviate axes
EVENLY = np.linspace(0, 1, 101)
FINELY = np.geomspace(FINEST, 0.1, 46)
RATES = np.unique(np.concatenate([EVENLY, FINELY, 1 - FINELY]))  # where bands of ROC and DET lie

Heights = Callable[[WeightedRanking], np.ndarray]


class Point(NamedTuple):
    """Where the verdicts at the frozen threshold lie on a curve.

    >>> Point(x=0.25, y=0.5).y
    0.5
    """

    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Band:
    """Bounds ``low`` and ``high`` (G,) of a curve's height on ``grid`` (G,).

    >>> Band(np.array([0.0, 1.0]), np.array([0.0, 0.8]), np.array([0.5, 1.0])).at(np.array([0.5]))
    (array([0.4]), array([0.75]))
    """

    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both bounds at ``x``, linear between the points of the grid."""
        return np.interp(x, self.grid, self.low), np.interp(x, self.grid, self.high)


def of_two_classes(scored: Scored, positive: str, what: str) -> Scored:
    """``scored`` with the class ``positive`` ranked above; ``what`` names the curve in errors.

    Raises
    ------
    UserError : there is no such class, or all images are of one class.
    """
    turned = scored.positive(positive)
    if not scored.ranking.two_classes:
        only = CLASSES[int(scored.labels[0])]
        raise UserError(
            f"{what} needs real and fake images, but all {len(scored.labels)} are {only}: "
            "leave this part out, or add images of the other class"
        )
    return turned


def rates_at_threshold(scored: Scored) -> Point | None:
    """FPR and TPR of the verdicts; None where there is no threshold."""
    if scored.threshold is None:
        return None
    called = scored.margins >= scored.threshold
    reals, fakes = called[scored.ranking.reals], called[scored.ranking.fakes]
    return Point(float(reals.mean()), float(fakes.mean()))


def bootstrapped(
    scored: Scored, number: Heights, heights: Heights, grid: np.ndarray
) -> tuple[list[float] | None, Band | None]:
    """The interval of a number, and the band of a curve's heights (R, G) on ``grid`` (G,).

    Both are None without groups. Draws that lack a class are skipped; where all do, because there
    are so few persons, both are None too.
    """
    if scored.groups is None:
        return None, None
    ranking, numbers, curves = scored.ranking, [], []
    for weights in scored.groups.weights():
        fakes, reals = weights[ranking.fakes].sum(axis=0), weights[ranking.reals].sum(axis=0)
        kept = weights[:, (fakes > 0) & (reals > 0)]
        if kept.shape[1]:
            weighted = ranking.weighted(kept)
            numbers.append(number(weighted))
            curves.append(heights(weighted))
    if not numbers:
        return None, None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(curves), [tail, 100 - tail], axis=0)
    return interval(np.concatenate(numbers)), Band(grid, low, high)


def tpr_at_rates(weighted: WeightedRanking) -> np.ndarray:
    """TPR at each of ``RATES``, (R, G), linear between thresholds; the highest where it jumps."""
    reals, fakes = weighted.counts()
    fpr, tpr = (reals / reals[-1]).T, (fakes / fakes[-1]).T
    # where x repeats, numpy.interp takes the last y: the highest
    return np.stack([np.interp(RATES, x, y) for x, y in zip(fpr, tpr, strict=True)])


def corners(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> np.ndarray:
    """Indices of the corners of a curve of straight pieces, ends included, at most ``points``.

    Of more corners, evenly spaced ones (by number) are kept.

    >>> corners(np.array([0.0, 0.5, 1.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])).tolist()
    [0, 2, 3]
    """
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[1:] * dy[:-1] - dx[:-1] * dy[1:]) > 1e-15
    kept = np.unique(np.concatenate([[0], np.flatnonzero(turns) + 1, [len(x) - 1]]))
    if len(kept) > points:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, points).round().astype(int))]
    return kept


def frame_of(x: str, across: np.ndarray, y: str, up: np.ndarray, band: Band | None) -> pd.DataFrame:
    """The corners of a curve as columns ``x`` and ``y``, and with a band y_low and y_high."""
    kept = corners(across, up)
    frame = pd.DataFrame({x: across[kept], y: up[kept]})
    if band is not None:
        frame[f"{y}_low"], frame[f"{y}_high"] = band.at(across[kept])
    return frame


def draw_line(
    axis: "Axes",
    line: tuple[np.ndarray, np.ndarray],
    band: Band | None,
    point: Point | None,
    style: dict[str, Any],
    start: float | None = None,
) -> None:
    """A line (x, y) with its band below it, and a mark at the operating point.

    ``start`` : where a logarithmic axis begins; None: the axis is not logarithmic. ``style`` is
    matplotlib's, of the line, except for ``marker``, which is that of the point.
    """
    style = {"linewidth": 1.6} | style
    marker = style.pop("marker", "o")
    (drawn,) = axis.plot(*line, **style)
    colour = drawn.get_color()
    if band is not None:
        grid = band.grid if start is None else np.append(start, band.grid[band.grid > start])
        axis.fill_between(grid, *band.at(grid), color=colour, alpha=0.13, linewidth=0)
    if point is not None:
        axis.plot(
            max(point.x, start or -np.inf),
            point.y,
            color=colour,
            marker=marker,
            markersize=7,
            markeredgecolor="white",
            clip_on=False,
            zorder=5,
        )


def filled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with ``RATES`` in between, as straight pieces bend on axes that are not linear."""
    place = np.searchsorted(x, RATES, "right")
    return np.insert(x, place, RATES), np.insert(y, place, np.interp(RATES, x, y))
