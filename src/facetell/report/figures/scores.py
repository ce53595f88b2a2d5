"""Score histograms and reliability diagrams: one into an axis, or a panel for each model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from facetell.common.figure_style import (
    CLASS_COLOURS,
    COLOURS,
    WIDTH,
    finished,
    grid,
    leave_empty,
    panel,
    plt,
)
from facetell.curves.binned import ReliabilityDiagram, ScoreHistogram

DASHES = {"real": "-", "fake": "--"}
BEFORE, AFTER = COLOURS[1], COLOURS[0]
SMALLEST, LARGEST = 4, 60  # area of a mark (points^2), by the bin's images
WIDEST = 4  # panels in a row


def score_histogram(histogram: ScoreHistogram, ax: Axes | None = None, **style: Any) -> Axes:
    """Shares of real and of fake images by margin, and a line at the threshold."""
    axis = panel(ax)
    edges = histogram.edges
    for which, shares in histogram.shares.items():
        colour = CLASS_COLOURS[which]
        drawn: dict[str, Any] = {"color": colour, "linestyle": DASHES[which], "linewidth": 1.5}
        axis.stairs(shares, edges, **(drawn | {"label": which} | style))
        if histogram.low:
            low, high = histogram.low[which], histogram.high[which]
            # what holds no image is at most so many by chance, in every bin: not worth a band
            top = np.where(shares > 0, high, np.nan)
            axis.stairs(top, edges, baseline=low, fill=True, color=colour, alpha=0.15)
    if histogram.threshold is not None:
        axis.axvline(histogram.threshold, color="black", linewidth=1, label="threshold")
    axis.set(xlabel="margin (logit of P(fake))", ylabel="share of the class's images")
    axis.set(xlim=(edges[0], edges[-1]), title=histogram.name or "")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    return finished(axis, ax)


def reliability_diagram(diagram: ReliabilityDiagram, ax: Axes | None = None, **style: Any) -> Axes:
    """Share of fakes against P(fake), marks as large as the bin has images."""
    axis = panel(ax)
    interval = diagram.ece_interval
    said = f"ECE {diagram.ece:.3f}" + (
        f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    )
    label = ", ".join(part for part in (diagram.name, said) if part)
    style = dict[str, Any](label=label, linewidth=1.4) | style
    kept = diagram.counts > 0
    x, y = diagram.predicted[kept], diagram.observed[kept]
    axis.axline((0, 0), slope=1, color="0.6", linewidth=1)
    (line,) = axis.plot(x, y, **style)
    if diagram.low is not None and diagram.high is not None:
        bounds = np.abs(np.stack([diagram.low[kept] - y, diagram.high[kept] - y]))
        axis.errorbar(x, y, bounds, color=line.get_color(), linestyle="none", elinewidth=0.8)
    share = diagram.counts[kept] / diagram.counts.max()
    size = SMALLEST + (LARGEST - SMALLEST) * share
    axis.scatter(x, y, s=size, color=line.get_color(), zorder=4)
    axis.set(xlabel="P(fake)", ylabel="share of fakes", xlim=(0, 1), ylim=(-0.02, 1.02))
    return finished(axis, ax)


def histograms(found: Mapping[str, ScoreHistogram]) -> Figure:
    """A panel for each model; margins have scales of their own, as have the models."""
    rows, columns = grid(len(found), WIDEST)
    size = min(WIDTH, 2 + 3 * columns), 0.9 + (3.4 if rows == 1 else 2.0) * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis, (model, histogram) in zip(axes.flat, found.items(), strict=False):
        score_histogram(histogram, axis)
        axis.set_title(model, fontsize=10)
        axis.set(xlabel="", ylabel="")
    leave_empty(axes, len(found))
    figure.supxlabel(
        "margin (logit of P(fake); the outermost bins hold what lies beyond)\n"
        "bands: 95% interval of each bin, by person; threshold chosen on validation",
        fontsize=10,
    )
    figure.supylabel("share of the class's test images", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def reliability(
    before: Mapping[str, ReliabilityDiagram],
    after: Mapping[str, ReliabilityDiagram],
    temperatures: Mapping[str, float],
) -> Figure:
    """Each model before and after temperature scaling, and below it how many images a bin has."""
    rows, columns = grid(len(before), WIDEST)
    size = min(WIDTH, 1.5 + 3.6 * columns), 0.8 + (4.8 if rows == 1 else 3.3) * rows
    figure, axes = plt.subplots(
        2 * rows,
        columns,
        figsize=size,
        squeeze=False,
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [3.2, 1] * rows},
    )
    for index, model in enumerate(before):
        row, column = divmod(index, columns)
        above, below = axes[2 * row, column], axes[2 * row + 1, column]
        _before_and_after(above, below, before[model], after[model])
        above.set_title(f"{model}, T = {temperatures[model]:.2f}", fontsize=10)
        above.set_ylabel("" if column else "share of fakes")
        below.set_ylabel("" if column else "images")
    leave_empty(axes[1::2], len(before))
    for axis in axes[::2].flat[len(before) :]:
        axis.set_axis_off()
    handles, _ = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        ["as trained", "margins divided by the temperature T, fitted on validation images"],
        loc="outside upper center",
        ncols=2,
        fontsize=9,
    )
    figure.supxlabel(
        "P(fake), in 15 bins; bars: 95% interval of a bin's share, by person", fontsize=10
    )
    return figure


def _before_and_after(
    above: Axes, below: Axes, before: ReliabilityDiagram, after: ReliabilityDiagram
) -> None:
    for diagram, colour, dash in ((before, BEFORE, "--"), (after, AFTER, "-")):
        reliability_diagram(diagram, above, color=colour, linestyle=dash)
        below.stairs(diagram.counts, diagram.edges, color=colour, linestyle=dash, linewidth=1.3)
    above.set(xlabel="")
    above.legend(
        handles=above.get_legend_handles_labels()[0],
        labels=[f"ECE {before.ece:.3f}", f"ECE {after.ece:.3f}"],
        loc="lower right",
        fontsize=7.5,
        handlelength=1.5,
        frameon=True,
        framealpha=0.8,
        edgecolor="none",
        borderpad=0.2,
    )
    below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
