# SPDX-License-Identifier: Apache-2.0
"""What a detector looks at: relevance against area by face region."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.figure_style import CLASS_COLOURS, WIDTH, grid, leave_empty, plt
from facetell.metrics import intervals
from facetell.report.figures.maps import DIVERGING, SMALL, caption, headline, words

MARKS = {"real": "o", "fake": "s"}
LEAST, MOST = 1 / 16, 16  # of the ratio's axis, at most
TIMES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)


def regions(table: pd.DataFrame, title: str) -> Figure:
    """How many times its area share each region gets of the relevance: a panel per kind of map.

    ``table`` is that of ``RegionTally``: method, layer, class, region, area, ratio and its bounds.
    Regions are ordered by the ratio of fakes in the first panel.
    """
    kinds = list(dict.fromkeys(zip(table["method"], table["layer"], strict=True)))
    order = _order(table[(table["method"] == kinds[0][0]) & (table["layer"] == kinds[0][1])])
    rows, columns = grid(len(kinds), 3)
    size = min(WIDTH, 2.2 + 3.4 * columns), 1.3 + 0.36 * len(order) * rows + 0.5 * rows
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharey=True, sharex=True
    )
    for axis, (method, layer) in zip(axes.flat, kinds, strict=False):
        part = table[(table["method"] == method) & (table["layer"] == layer)]
        _panel(axis, part, order)
        axis.set_title(words(method, layer), fontsize=10)
    low, high = table["ratio_low"].min(), table["ratio_high"].max()
    axes[0, 0].set_xlim(max(LEAST, min(0.5, low)) / 1.1, min(MOST, max(2, high)) * 1.1)
    leave_empty(axes, len(kinds))
    axes[0, 0].legend(fontsize=8, frameon=True, loc="best")
    headline(figure, title)
    caption(
        figure,
        f"Share of the relevance / share of the area, {intervals.in_words()} intervals by person; "
        "1 (the line): as much as its area would make it; values below 1/16 are drawn there. It "
        "says where maps are, not whether they are right.",
    )
    return figure


def regions_of_models(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """The same of fakes over models: a row per model and kind of map, a column per region.

    Numbers are ratios; those whose interval holds 1 are grey, for they may be chance.
    """
    names = {model: list(dict.fromkeys(zip(t["method"], t["layer"], strict=True)))
             for model, t in tables.items()}  # fmt: skip
    lines = [(model, *kind) for model, kinds in names.items() for kind in kinds]
    every = pd.concat([table.assign(model=model) for model, table in tables.items()])
    every = every[every["class"] == "fake"]
    order = _order(every)
    figure, axis = plt.subplots(figsize=(WIDTH, 1.9 + 0.3 * len(lines)))
    values = every.set_index(["model", "method", "layer", "region"])
    grid_ = np.full((len(lines), len(order)), np.nan)
    for row, line in enumerate(lines):
        for column, region in enumerate(order):
            if (*line, region) in values.index:
                cell = values.loc[(*line, region)]
                grid_[row, column] = cell["ratio"]
                _number(axis, row, column, cell)
    with np.errstate(divide="ignore"):
        shades = np.clip(np.log2(grid_), -3, 3)
    shown = axis.imshow(shades, cmap=DIVERGING, vmin=-3, vmax=3, aspect="auto")
    axis.grid(visible=False)
    areas = every.groupby("region")["area"].mean()
    axis.set_xticks(
        range(len(order)), [f"{name}\n{areas[name]:.1%} of area" for name in order], fontsize=SMALL
    )
    axis.set_yticks(
        range(len(lines)), [f"{line[0]}: {words(*line[1:])}" for line in lines], fontsize=SMALL
    )
    starts = np.cumsum([len(kinds) for kinds in names.values()])[:-1]
    for start in starts:
        axis.axhline(start - 0.5, color="black", linewidth=0.8)
    bar = figure.colorbar(shown, ax=axis, pad=0.01, aspect=25)
    bar.set_ticks(range(-3, 4), labels=["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    bar.set_label("times its area", fontsize=9)
    headline(figure, title)
    caption(
        figure,
        "Share of the relevance / share of the area, mean over the fake test images; one scale "
        "for all. Bold: the 95% interval by person leaves out 1; grey: it does not. It says where "
        "maps are, not whether they can be believed.",
    )
    return figure


def _number(axis: Axes, row: int, column: int, cell: pd.Series) -> None:
    """A ratio in its cell: bold where its interval leaves out 1, else grey."""
    if not np.isfinite(cell["ratio"]):
        return
    sure = cell["ratio_low"] > 1 or cell["ratio_high"] < 1
    strong = not 1 / 3 < cell["ratio"] < 3  # a dark cell
    axis.text(
        column, row, f"{cell['ratio']:.1f}", ha="center", va="center", fontsize=8,
        fontweight="bold" if sure else "normal",
        color="0.5" if not sure else "white" if strong else "black",
    )  # fmt: skip


def _panel(axis: Axes, part: pd.DataFrame, order: list[str]) -> None:
    """Both classes of one kind of map."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(TIMES, [f"1/{round(1 / t)}" if t < 1 else f"{t:g}" for t in TIMES])
    axis.axvline(1, color="0.3", linewidth=1)
    for index, (class_, colour) in enumerate(CLASS_COLOURS.items()):
        own = part[part["class"] == class_].set_index("region")
        if own.empty:
            continue
        own = own.loc[order]
        # next to nothing has no place on this axis: it stands at its end
        value = own["ratio"].clip(lower=LEAST).to_numpy()
        low = own["ratio_low"].clip(lower=LEAST).to_numpy()
        bounds = np.abs(np.stack([value - low, own["ratio_high"].to_numpy() - value]))
        axis.errorbar(
            value, np.arange(len(order)) + 0.3 * index - 0.15, xerr=bounds, linestyle="none",
            marker=MARKS[class_], color=colour, markersize=5, elinewidth=1.4,
            label=f"{class_} (n = {int(own['n'].iloc[0])})",
        )  # fmt: skip
    areas = part.groupby("region")["area"].mean()
    axis.set_yticks(range(len(order)), [f"{name} ({areas[name]:.1%} of area)" for name in order])
    axis.set_ylim(len(order) - 0.5, -0.5)
    axis.set_xlabel("times its area", fontsize=9)


def _order(part: pd.DataFrame) -> list[str]:
    """Regions from the most to the least looked at, in fakes where there are any."""
    fakes = part[part["class"] == "fake"]
    part = part if fakes.empty else fakes
    return list(part.groupby("region")["ratio"].mean().sort_values(ascending=False).index)
