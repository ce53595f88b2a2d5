# SPDX-License-Identifier: Apache-2.0
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
from facetell.explain.trust.planted import LEAST, RECOGNISED
from facetell.explain.trust.verdict import Belief, Verdict
from facetell.metrics import intervals
from facetell.report.figures.maps import SMALL, bands, caption, caveats, headline, words

COLOUR_MAP = "viridis"
LEVELS = {  # what knows nothing: mark and words
    "chance": ("|", "chance (area)"),
    "random": ("x", "random map"),
    "centre": ("+", "centre prior"),
    "edges": ("d", "edge map"),
    "untrained": ("^", "untrained, best map"),
}
GUESSED, NOTHING = "#BFD3E6", "0.87"  # colours of maps that are not believed
RESTRICTED = "////"  # hatch of maps that are believed on some of the fakes only
CHOSEN = "#D55E00"
MARKERS = {  # of the chosen map of a model: shape, colour, colour of the inside
    Belief.GENERAL: ("o", COLOURS[0], COLOURS[0]),
    Belief.RESTRICTED: ("D", COLOURS[0], "white"),
    Belief.NONE: ("o", "0.6", "white"),
}
SAID = {
    Belief.GENERAL: "believed on all such fakes",
    Belief.RESTRICTED: "believed only on the fakes that pass the gate",
    Belief.NONE: "not believed",
}
FEW = 6  # models whose layers can all be named
NAMED = 20  # layers that have room for their names


def leaderboard(verdicts: Mapping[str, Verdict], title: str) -> Figure:
    """Above, each model's chosen map against what knows nothing; below, every map of every model.

    ``verdicts`` on one kind of fakes, by model, as ``facetell.explain.trust.verdict`` gives them;
    at least one of them on enough fakes, the others are only named. On the scale of colours is
    what can be believed, hatched where that holds only of the fakes that pass the gate; the rest
    is pale, and what is not defined lies open.
    """
    shown = {model: one for model, one in verdicts.items() if one.scope != Belief.NONE}
    methods = _methods(shown)
    few = len(shown) <= FEW
    rows, columns = grid(len(shown), 2 if few else 4)
    top = 1.3 + 0.26 * len(shown)
    bottom = rows * (0.17 * len(methods) + (1.7 if few else 1.1)) + 0.9
    figure = plt.figure(figsize=(WIDTH, top + bottom + 1.6))
    upper, lower = bands(figure, [top, bottom])
    _summary(upper.subplots(), shown)
    axes = lower.subplots(rows, columns, squeeze=False)
    for index, axis in enumerate(axes.flat):
        if index >= len(shown):
            axis.set_axis_off()
            continue
        model = list(shown)[index]
        _heat(axis, model, shown[model], methods, few)
        if index % columns == 0:
            names = [words(method) for method in methods]
            axis.set_yticks(range(len(methods)), names, fontsize=7)
    _legend(lower, axes)
    headline(figure, title)
    caption(figure, *_sentences(verdicts), caveats(methods))
    return figure


def _sentences(verdicts: Mapping[str, Verdict]) -> list[str]:
    """What a reader must know: the measure, the gate, belief, and how far it reaches."""
    shown = {model: one for model, one in verdicts.items() if one.scope != Belief.NONE}
    restricted = [
        model for model, one in shown.items() if one.believed and one.scope == Belief.RESTRICTED
    ]
    absent = [
        f"{model} ({one.passed} of {one.fakes})"
        for model, one in verdicts.items()
        if model not in shown
    ]
    scored = sorted({one.scored for one in shown.values()})
    count = str(scored[0]) if len(scored) == 1 else f"{scored[0]} to {scored[-1]}"
    said = [
        "Relevance rank accuracy (RRA): of the K most relevant pixels, the share that lies on the "
        f"K planted ones; n = {count} fakes per model, {intervals.in_words()} intervals by person.",
        _gate(shown),
        "Believed: the map leads all that knows nothing (chance, random, centre, edges, the same "
        "map of the untrained network, and itself with masks of other persons' fakes). Colours and "
        "counts are corrected for the number of maps: the probability that any map is believed "
        "wrongly is at most 2.5%. The chosen map was chosen on validation fakes and is only rated "
        "here, so it needs no correction.",
    ]
    if restricted:
        said.append(
            f"Hatched ({', '.join(restricted)}): over all fakes of this kind the model errs too "
            "often, or goes by more than the artefacts, to pass the gate as a whole. Its maps are "
            "believed only on the fakes that pass; on the others they were not tested."
        )
    if absent:
        said.append(f"Fewer than {LEAST} fakes pass, so nothing is said: {', '.join(absent)}.")
    named = [
        f"{words(method)} of {model} is {title}"
        for model, one in shown.items()
        for method, title in one.titles.items()
    ]
    if named:
        said.append(f"Note: {'; '.join(named)}.")
    return [*said, "Across: layers in forward order; a wide cell is a map of the input."]


def _gate(shown: Mapping[str, Verdict]) -> str:
    """Which fakes maps are scored on."""
    said = (
        "Gate: maps are scored only on fakes that the model calls fake with P of at least "
        f"{RECOGNISED}"
    )
    if all(one.has_twins for one in shown.values()):
        return (
            f"{said} while it calls the same face without the artefacts real: there the artefacts "
            "decide the verdict."
        )
    return (
        f"{said}. There are no twins without what was altered, so whether that decides the verdict "
        "is not known."
    )


def _summary(axis: Axes, shown: Mapping[str, Verdict]) -> None:
    """A line per model: the levels of what knows nothing, the chosen map, and its name."""
    for row, one in enumerate(shown.values()):
        axis.hlines(row, 0, max(one.levels.values()), color="0.88", linewidth=7, zorder=0)
        for name, value in one.levels.items():
            mark, label = LEVELS.get(name, ("*", name))
            axis.plot(value, row, mark, color="0.35", markersize=6, label=label, fillstyle="none")
        axis.text(1.03, row, _chosen(one), va="center", fontsize=SMALL, color="black",
                  clip_on=False)  # fmt: skip
        if one.chosen is None:
            continue
        chosen = one.chosen
        marker, colour, inside = MARKERS[Belief(chosen["belief"])]
        axis.errorbar(
            chosen["score"], row, xerr=[[max(0, chosen["score"] - chosen["low"])],
                                        [max(0, chosen["high"] - chosen["score"])]],
            marker=marker, color=colour, markersize=7, elinewidth=1.8, markerfacecolor=inside,
        )  # fmt: skip
    axis.set_yticks(range(len(shown)), list(shown), fontsize=9)
    axis.set(xlim=(0, 1.02), ylim=(len(shown) - 0.5, -0.5))
    axis.set_xlabel("RRA of the map that validation fakes chose", fontsize=9)
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    for belief, (marker, colour, inside) in MARKERS.items():
        unique[f"chosen map, {SAID[belief]}"] = Line2D(
            [], [], marker=marker, color=colour, markerfacecolor=inside
        )
    axis.figure.legend(
        unique.values(), unique.keys(), loc="outside upper center", ncols=3, fontsize=SMALL
    )


def _chosen(one: Verdict) -> str:
    """The chosen map in words, and how far it is believed."""
    if one.chosen is None:
        return "no map was chosen:\ntoo few validation fakes pass"
    said = f"{one.chosen['score']:.2f} {words(one.chosen['method'], one.chosen['layer'])}"
    return f"{said}\n{_reach(one, one.chosen_is_believed)}"


def _reach(one: Verdict, believed: bool) -> str:
    """On which fakes a model's maps are believed."""
    if not believed:
        return "not believed"
    if one.scope == Belief.GENERAL:
        return f"believed on all {one.fakes} fakes"
    return f"believed on {one.passed} of {one.fakes} fakes only"


def _heat(axis: Axes, model: str, one: Verdict, methods: list[str], named: bool) -> None:
    """All maps of a model: a row per method, a column per layer; those of the input are wide."""
    layers = [layer for layer in dict.fromkeys(one.maps["layer"]) if layer != INPUT]
    wide = max(1, len(layers))
    axis.set(xlim=(-0.5, wide - 0.5), ylim=(len(methods) - 0.5, -0.5))
    axis.set_facecolor("0.97")
    axis.grid(visible=False)
    for cell in one.maps.to_dict("records"):
        column, width = (0, wide) if cell["layer"] == INPUT else (layers.index(cell["layer"]), 1)
        corner = column - 0.5, methods.index(cell["method"]) - 0.5
        belief = one.belief_of(cell["method"], cell["layer"])
        for looks in _looks(cell | {"belief": belief}):
            axis.add_patch(Rectangle(corner, width, 1, **looks))
        if one.chosen is not None and (cell["method"], cell["layer"]) == (
            one.chosen["method"], one.chosen["layer"]
        ):  # fmt: skip
            axis.add_patch(
                Rectangle(corner, width, 1, fill=False, edgecolor=CHOSEN, lw=2, zorder=3,
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
    number = one.believed or "none"
    reach = _reach(one, one.believed > 0)
    axis.set_title(f"{model}: {number} of {len(one.maps)} maps\n{reach}", fontsize=SMALL)


def _looks(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How one map's cell is filled, and hatched above that where belief is restricted; nothing
    where the map is not defined."""
    if not np.isfinite(cell["score"]):
        return []
    if cell["belief"] == Belief.NONE:
        colour: Any = GUESSED if cell["specific"] else NOTHING
    else:
        colour = plt.get_cmap(COLOUR_MAP)(cell["score"])
    filled = {"facecolor": colour, "edgecolor": "white", "lw": 0.4}
    if cell["belief"] != Belief.RESTRICTED:
        return [filled]
    dark = "white" if cell["score"] < 0.45 else "black"  # the scale ends bright
    return [filled, {"fill": False, "hatch": RESTRICTED, "edgecolor": dark, "lw": 0}]


def _legend(part: SubFigure, axes: np.ndarray) -> None:
    """The colour bar of what is believed, and what hatches, pale colours and the frame mean."""
    scale = plt.cm.ScalarMappable(plt.Normalize(0, 1), COLOUR_MAP)
    bar = part.colorbar(scale, ax=list(axes.flat), pad=0.01, aspect=40, fraction=0.03)
    bar.set_label("RRA, where believed", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    middle = plt.get_cmap(COLOUR_MAP)(0.5)
    handles = [
        Patch(facecolor=middle, label=SAID[Belief.GENERAL]),
        Patch(facecolor=middle, edgecolor="black", hatch=RESTRICTED, linewidth=0,
              label=SAID[Belief.RESTRICTED]),
        Patch(facecolor=GUESSED, label="follows the image, but no better than guessing"),
        Patch(facecolor=NOTHING, label="finds nothing"),
        Patch(facecolor="0.97", edgecolor="0.8", label="not defined"),
        Patch(facecolor="white", edgecolor=CHOSEN, linewidth=2,
              label="chosen on validation fakes"),
    ]  # fmt: skip
    part.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=SMALL)


def _methods(shown: Mapping[str, Verdict]) -> list[str]:
    """All methods, those of layers first."""
    order: dict[str, bool] = {}
    for one in shown.values():
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
    for index, (model, style) in enumerate(look(models).items()):
        own = table[table["model"] == model].set_index("measure").reindex(measures)
        y = np.arange(len(measures)) + gap * (index - (len(models) - 1) / 2)
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
        f"Rankings of {maps} maps; {intervals.in_words()} intervals by person (n = "
        f"{int(table['n'].min())} images or more). Where the interval contains 0, no agreement is "
        "certain: that measure need not put the right map first.",
    )
    return figure
