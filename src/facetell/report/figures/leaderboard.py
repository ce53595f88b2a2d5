"""Which method at which layer can be believed for which model, and which measures agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from facetell.common.figure_style import COLOURS, WIDTH, grid, look, plt
from facetell.explain.maps import INPUT
from facetell.explain.trust.verdict import Standing, standing
from facetell.report.figures.maps import SMALL, bands, caption, guided_note, headline, words

COLOUR_MAP = "viridis"
NAMES = {
    "rra": "relevance rank accuracy (share of the K most relevant pixels that are planted)",
    "rma": "relevance mass accuracy (share of the relevance that is planted)",
    "pointing": "pointing game (is the most relevant pixel planted?)",
    "pointing_near": "pointing game with a tolerance of 15/224 of the side",
}
LEVELS = {  # what knows nothing: mark and words
    "chance": ("|", "chance (area)"),
    "random": ("x", "random map"),
    "centre": ("+", "centre prior"),
    "edges": ("d", "edge map"),
    "untrained": ("^", "untrained, best map"),
}
GUESSED, NOTHING = "#BFD3E6", "0.87"  # colours of maps that are not believed
BEST = "#D55E00"
FEW = 6  # models whose layers can all be named
NAMED = 20  # layers that have room for their names


def leaderboard(
    tables: Mapping[str, pd.DataFrame],
    title: str,
    metric: str = "rra",
    *,
    gates: Mapping[str, Any] | None = None,
    fakes: str = "all",
) -> Figure:
    """Above, each model's best map against what knows nothing; below, every map of every model.

    ``tables`` are those of ``Leaderboard.table()`` by model, ``gates`` the results of
    ``model_gate``. On the scale of colours is only what can be believed, as
    ``facetell.explain.trust.verdict`` has it; the rest is pale, and what is not defined is hatched.
    """
    gates = gates or {}
    found = {
        model: standing(table, metric, fakes=fakes, gate=gates.get(model))
        for model, table in tables.items()
    }
    methods = _methods(found)
    few = len(found) <= FEW
    rows, columns = grid(len(found), 2 if few else 4)
    top = 1.0 + 0.26 * len(found)
    bottom = rows * (0.17 * len(methods) + (1.55 if few else 0.85)) + 0.6
    figure = plt.figure(figsize=(WIDTH, top + bottom + 1.1))
    upper, lower = bands(figure, [top, bottom])
    _summary(upper.subplots(), found, metric)
    axes = lower.subplots(rows, columns, squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index >= len(found):
            axis.set_axis_off()
            continue
        model = list(found)[index]
        _heat(axis, model, found[model], methods, few)
        if index % columns == 0:
            names = [words(method) for method in methods]
            axis.set_yticks(range(len(methods)), names, fontsize=7)
    _legend(lower, axes, metric)
    headline(figure, title)
    images = [int(t[(t["source"] == "trained") & (t["fakes"] == fakes)]["n"].max())
              for t in tables.values()]  # fmt: skip
    count = f"{min(images)} to {max(images)}" if min(images) < max(images) else str(images[0])
    caption(
        figure,
        f"n = {count} fakes per model; {NAMES[metric]}, 95% intervals by person. Believed: the "
        "map finds its own image's mask better than other images', and its interval lies above all "
        "that knows nothing (chance, random, centre, edges, the same map of the untrained "
        "network). The best map is the best of all on these images, so a little flattered. Across: "
        "layers in forward order; a wide cell is a map of the input.",
        "Gate not passed: the model does not tell these fakes by what was planted, so no map of it "
        "has anything to find."
        if any(s.gate is False for s in found.values())
        else "",
        guided_note(methods),
    )
    return figure


def _summary(axis: Axes, found: Mapping[str, Standing], metric: str) -> None:
    """A line per model: the levels of what knows nothing, the best map, and its name."""
    for row, one in enumerate(found.values()):
        axis.hlines(row, 0, max(one.levels.values()), color="0.88", linewidth=7, zorder=0)
        for name, value in one.levels.items():
            mark, label = LEVELS.get(name, ("*", name))
            axis.plot(value, row, mark, color="0.35", markersize=6, label=label, fillstyle="none")
        if one.best is None:
            continue
        best = one.best
        colour = COLOURS[0] if best["believed"] else "0.6"
        axis.errorbar(
            best["score"], row, xerr=[[max(0, best["score"] - best["low"])],
                                      [max(0, best["high"] - best["score"])]],
            marker="o", color=colour, markersize=7, elinewidth=1.8,
            markerfacecolor=colour if best["believed"] else "white",
        )  # fmt: skip
        said = f"{best['score']:.2f} {words(best['method'], best['layer'])}"
        if one.gate is False:
            said += " (gate not passed)"
        elif not best["believed"]:
            said += " (not believed)"
        axis.text(1.03, row, said, va="center", fontsize=SMALL, color="black", clip_on=False)
    axis.set_yticks(range(len(found)), list(found), fontsize=9)
    axis.set(xlim=(0, 1.02), ylim=(len(found) - 0.5, -0.5))
    axis.set_xlabel(f"{metric.upper()} of the best map", fontsize=9)
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    unique["best map, believed"] = Line2D([], [], marker="o", color=COLOURS[0])
    unique["best map, not believed"] = Line2D(
        [], [], marker="o", color="0.6", markerfacecolor="white"
    )
    axis.figure.legend(
        unique.values(), unique.keys(), loc="outside upper center", ncols=4, fontsize=SMALL
    )


def _heat(axis: Axes, model: str, one: Standing, methods: list[str], named: bool) -> None:
    """All maps of a model: a row per method, a column per layer; those of the input are wide."""
    layers = [layer for layer in dict.fromkeys(one.maps["layer"]) if layer != INPUT]
    wide = max(1, len(layers))
    axis.set(xlim=(-0.5, wide - 0.5), ylim=(len(methods) - 0.5, -0.5))
    axis.set_facecolor("0.97")
    axis.patch.set(hatch="////", edgecolor="0.8", linewidth=0)
    axis.grid(visible=False)
    colours = plt.get_cmap(COLOUR_MAP)
    for cell in one.maps.to_dict("records"):
        if not np.isfinite(cell["score"]):
            continue
        column, width = (0, wide) if cell["layer"] == INPUT else (layers.index(cell["layer"]), 1)
        colour = GUESSED if cell["specific"] else NOTHING
        if cell["believed"]:
            colour = colours(cell["score"])
        place = column - 0.5, methods.index(cell["method"]) - 0.5
        axis.add_patch(Rectangle(place, width, 1, facecolor=colour, edgecolor="white", lw=0.4))
        if one.best is not None and (cell["method"], cell["layer"]) == (
            one.best["method"], one.best["layer"]
        ):  # fmt: skip
            axis.add_patch(
                Rectangle(place, width, 1, fill=False, edgecolor=BEST, lw=2, zorder=3,
                          clip_on=False)
            )  # fmt: skip
    axis.set_yticks([])
    if named:
        step = -(-wide // NAMED)
        shown = list(range(0, len(layers), step))
        axis.set_xticks(shown, [layers[k] for k in shown], rotation=90, fontsize=7)
    else:
        axis.set_xticks([0, wide - 1] if layers else [], ["first", "last"][: 2 if layers else 0])
        axis.tick_params(labelsize=7)
    if one.gate is False:
        box = {"facecolor": "white", "edgecolor": "0.3", "pad": 3}
        axis.text(
            0.5, 0.5, "gate not passed", transform=axis.transAxes, ha="center", va="center",
            fontsize=9, bbox=box, zorder=4,
        )  # fmt: skip
    said = f"{one.believed} of {len(one.maps)} believed"
    axis.set_title(f"{model}: {said}" if named else f"{model}\n{said}", fontsize=SMALL)


def _legend(part: SubFigure, axes: np.ndarray, metric: str) -> None:
    """The colour bar of what is believed, and what grey, hatches and the frame mean."""
    shown = plt.cm.ScalarMappable(plt.Normalize(0, 1), COLOUR_MAP)
    bar = part.colorbar(shown, ax=list(axes.flat), pad=0.01, aspect=40, fraction=0.03)
    bar.set_label(f"{metric.upper()}, where believed", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    handles = [
        Patch(facecolor=GUESSED, label="follows the image, but guessing does as well"),
        Patch(facecolor=NOTHING, label="finds nothing"),
        Patch(facecolor="0.97", edgecolor="0.8", hatch="////", label="not defined"),
        Patch(facecolor="white", edgecolor=BEST, linewidth=2, label="best map"),
    ]
    part.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=SMALL)


def _methods(found: Mapping[str, Standing]) -> list[str]:
    """All methods, those of layers first."""
    order: dict[str, bool] = {}
    for one in found.values():
        for method, layer in zip(one.maps["method"], one.maps["layer"], strict=True):
            order[method] = order.get(method, False) or layer != INPUT
    return sorted(order, key=lambda method: not order[method])


def agreement(table: pd.DataFrame, title: str) -> Figure:
    """Kendall's tau of each measure with the planted truth, a mark per model.

    ``table`` has the columns of ``facetell.explain.trust.agreement.agreements`` and ``model``.
    """
    models, measures = list(table["model"].unique()), list(table["measure"].unique())
    gap = 0.8 / len(models)
    height = max(0.42, 0.12 * len(models) + 0.15)
    figure, axis = plt.subplots(figsize=(WIDTH, 1.9 + height * len(measures)))
    for place, (model, style) in enumerate(look(models).items()):
        own = table[table["model"] == model].set_index("measure").reindex(measures)
        y = np.arange(len(measures)) + gap * (place - (len(models) - 1) / 2)
        bounds = np.abs(own[["low", "high"]].to_numpy().T - own["tau"].to_numpy())
        bounds = np.where(np.isfinite(bounds), bounds, 0)
        axis.errorbar(
            own["tau"].to_numpy(), y, xerr=bounds, linestyle="none", marker=style["marker"],
            color=style["color"], markersize=5, elinewidth=1.3, label=model,
        )  # fmt: skip
        for row in np.flatnonzero(own["tau"].isna()).tolist():
            axis.text(0, y[row], f"{model}: undefined", fontsize=7, color="0.4", va="center")
    for border in range(1, len(measures)):
        axis.axhline(border - 0.5, color="0.85", linewidth=0.8)
    axis.axvline(0, color="0.3", linewidth=1)
    axis.set_yticks(range(len(measures)), [name.replace("_", " ") for name in measures])
    axis.grid(axis="y", visible=False)
    axis.set(xlim=(-1, 1), ylim=(len(measures) - 0.5, -0.5))
    axis.set_xlabel(
        "Kendall's tau-b with planted truth: -1 the reverse order, 0 no relation, 1 the same order"
    )
    figure.legend(loc="outside right upper", fontsize=9)
    headline(figure, title)
    least, most = int(table["maps"].min()), int(table["maps"].max())
    maps = str(least) if least == most else f"{least} to {most}"
    caption(
        figure,
        f"Rankings of {maps} maps; 95% intervals by person (n = {int(table['n'].min())} images or "
        "more). An interval that holds 0: the measure would not have picked the right map.",
    )
    return figure
