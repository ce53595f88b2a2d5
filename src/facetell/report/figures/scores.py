# SPDX-License-Identifier: Apache-2.0
"""Score histograms and reliability diagrams: a panel for each model."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facetell.common.figure_style import COLOURS, WIDTH, grid, leave_empty, plt
from facetell.curves import ReliabilityDiagram, ScoreHistogram
from facetell.metrics import intervals
from facetell.metrics.calibration import BINS

BEFORE, AFTER = COLOURS[1], COLOURS[0]
WIDEST = 4  # panels in a row


def histograms(found: Mapping[str, ScoreHistogram]) -> Figure:
    """A panel for each model; each has its own range of margins."""
    rows, columns = grid(len(found), WIDEST)
    size = min(WIDTH, 2 + 3 * columns), 0.9 + (3.4 if rows == 1 else 2.0) * rows
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis, (model, histogram) in zip(axes.flat, found.items(), strict=False):
        histogram.plot(axis)
        axis.set_title(model, fontsize=10)
        axis.set(xlabel="", ylabel="")
    leave_empty(axes, len(found))
    figure.supxlabel(
        "margin (logit of P(fake); the outermost bins hold what lies beyond)\n"
        f"bands: {intervals.in_words()} interval of each bin, by person; threshold chosen on "
        "validation",
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
    """Each model before and after temperature scaling, and below it the images in each bin."""
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
        f"P(fake), in {BINS} bins; bars: 95% interval of a bin's share, by person", fontsize=10
    )
    return figure


def _before_and_after(
    above: Axes, below: Axes, before: ReliabilityDiagram, after: ReliabilityDiagram
) -> None:
    for diagram, colour, dash in ((before, BEFORE, "--"), (after, AFTER, "-")):
        diagram.plot(above, color=colour, linestyle=dash)
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
