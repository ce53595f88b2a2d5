# SPDX-License-Identifier: Apache-2.0
"""What perturbations do to several models: numbers over levels, drops, and changed verdicts.

Every figure takes the frame of ``facetell.evaluation.robustness.robustness``; frequency filters
(probes) have a figure of their own, and the control does not count as a perturbation.
"""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from facetell.common.figure_style import (
    BANDED,
    COLOURS,
    TALLEST,
    WIDTH,
    grid,
    leave_empty,
    look,
    plt,
)
from facetell.metrics import intervals

ACROSS = 4  # panels in a row
LINE, NARROWEST = 0.17, 0.14  # inches for a variant's name, and where it must be
NUMBERS = {"auc": "AUC", "accuracy": "accuracy"}
DROPS = {"drop_auc": "AUC", "drop_accuracy_fake": "TPR", "drop_accuracy_real": "TNR"}
TURNED = {  # verdicts that change, with the side on which they stand and the colour
    "real_to_fake": ("from real to fake", -1, COLOURS[0]),
    "fake_to_real": ("from fake to real", 1, COLOURS[1]),
}
HARDEST = " Of each perturbation, the level that costs most AUC."


def levels(table: pd.DataFrame, number: str) -> Figure:
    """AUC or accuracy (``number``) of all models: a panel over the levels of each perturbation.

    Clean images stand at the level at which nothing happens, on the left where that is an end.
    Perturbations with one level, or with levels that are not numbers, are drawn as points below.
    """
    chosen = _perturbed(table).drop_duplicates(["model", "perturbation", "level"])
    several = _with_several_levels(chosen)
    single = chosen[~chosen["perturbation"].isin(several)]
    styles = {model: dict[str, Any](style) for model, style in look(_models(table)).items()}
    columns = max(1, min(ACROSS, len(several)))
    rows = -(-len(several) // columns)
    ratios = [1.0] * rows + [1.15] * bool(len(single))
    extra = 0.7 + 0.2 * -(-(len(styles) + 1) // 4)
    figure = plt.figure(figsize=(WIDTH, extra + 2.2 * sum(ratios)))
    gridspec = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    axes = [figure.add_subplot(gridspec[divmod(k, columns)]) for k in range(len(several))]
    clean = table[table["variant"] == "clean"]
    for axis, name in zip(axes, several, strict=True):
        _over_levels(axis, chosen[chosen["perturbation"] == name], clean, number, styles)
    if len(single):
        axes.append(figure.add_subplot(gridspec[rows, :]))
        _as_points(axes[-1], pd.concat([clean, single]), number, styles)
    lowest = min(0.45, table[f"{number}_low"].min() - 0.02)
    for place, axis in enumerate(axes):
        axis.set_ylim(lowest, 1.01)
        axis.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
        if place % columns and place < len(several):
            axis.tick_params(labelleft=False)
    figure.supylabel(f"{NUMBERS[number]} on the test images", fontsize=10)
    handles, labels = axes[-1].get_legend_handles_labels()
    shown = "95% interval, by person"
    if len(styles) > BANDED:
        shown += " (of single levels only, for so many models)"
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=4,
        fontsize=9,
        title=f"{shown}; dashed line: the level at which nothing happens, clean images",
        title_fontsize=9,
    )
    return figure


def drops(table: pd.DataFrame) -> Figure:
    """Drop of AUC, TPR and TNR for each variant, with paired intervals: a panel per model."""
    each = 0.3  # inches for three marks
    figure, axes, chosen, said = _panels(table, each)
    for axis, (model, part) in zip(axes, chosen.groupby("model", sort=False), strict=True):
        place = np.arange(len(part))
        for index, (column, name) in enumerate(DROPS.items()):
            value = part[column].to_numpy()
            bounds = np.abs(part[[f"{column}_low", f"{column}_high"]].to_numpy().T - value)
            axis.errorbar(
                value,
                place + 0.26 * (index - 1),
                xerr=bounds,
                color=COLOURS[(6, 1, 0)[index]],
                marker=("o", "s", "D")[index],
                markersize=3.5,
                linestyle="none",
                elinewidth=1,
                label=name,
            )
        axis.axvline(0, color="0.4", linewidth=0.8)
        axis.set_title(model, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(4))
    figure.supxlabel(
        "drop: clean minus perturbed; bars: 95% interval from the same images, by person\n"
        f"TPR: fakes found, TNR: real images let pass, at the frozen threshold.{said}",
        fontsize=9,
    )
    _top_legend(figure, axes[0], 3)
    return figure


def flips(table: pd.DataFrame) -> Figure:
    """Verdicts that a variant changes, by direction, as diverging bars: a panel per model."""
    figure, axes, chosen, said = _panels(table, LINE)
    for axis, (model, part) in zip(axes, chosen.groupby("model", sort=False), strict=True):
        place = np.arange(len(part))
        for column, (name, side, colour) in TURNED.items():
            value = part[column].to_numpy()
            bounds = np.abs(part[[f"{column}_low", f"{column}_high"]].to_numpy().T - value)
            axis.barh(
                place,
                side * value,
                xerr=bounds if side > 0 else bounds[::-1],
                color=colour,
                height=0.75,
                label=name,
                error_kw={"elinewidth": 0.8, "ecolor": "0.25"},
            )
        axis.axvline(0, color="0.2", linewidth=0.8)
        axis.set_title(model, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(4, symmetric=True))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):.0%}"))
    figure.supxlabel(
        "share of all test images whose verdict differs from that of the clean image; "
        f"bars: {intervals.in_words()} interval, by person" + (f"\n{said.strip()}" if said else ""),
        fontsize=9,
    )
    _top_legend(figure, axes[0], 2)
    return figure


def _models(table: pd.DataFrame) -> list[str]:
    return list(table["model"].unique())


def _perturbed(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["perturbation"].notna() & ~table["probe"].astype(bool)]


def _with_several_levels(chosen: pd.DataFrame) -> list[str]:
    """Perturbations with two levels or more that are numbers."""
    numbers = pd.to_numeric(chosen["level"], errors="coerce")
    count = numbers.groupby(chosen["perturbation"], sort=False).nunique()
    text = numbers.isna().groupby(chosen["perturbation"], sort=False).any()
    return [str(name) for name in count.index if count[name] > 1 and not text[name]]


def _over_levels(
    axis: Axes,
    part: pd.DataFrame,
    clean: pd.DataFrame,
    number: str,
    styles: dict[str, dict[str, Any]],
) -> None:
    neutral = float(part["neutral"].iloc[0])
    at_neutral = clean.assign(level=neutral) if not np.isnan(neutral) else clean[:0]
    rows = pd.concat([at_neutral, part])
    rows = rows.assign(level=rows["level"].astype(float)).sort_values("level", kind="stable")
    for model, style in styles.items():
        mine = rows[rows["model"] == model]
        level, value = mine["level"].to_numpy(), mine[number].to_numpy()
        size = 4 if len(styles) <= BANDED else 3
        axis.plot(level, value, **style, markersize=size, linewidth=1.3, label=model)
        if len(styles) <= BANDED:
            low, high = mine[f"{number}_low"], mine[f"{number}_high"]
            axis.fill_between(level, low, high, color=style["color"], alpha=0.13, linewidth=0)
    if len(at_neutral):
        axis.axvline(neutral, color="0.3", linewidth=0.9, linestyle="--")
    label = str(part["label"].iloc[0])
    axis.set_xlabel(fill(label, 28), fontsize=8.5)
    if neutral >= rows["level"].max():  # what does nothing stands on the left
        axis.invert_xaxis()
    at = rows["level"].unique()
    if len(at) <= 6:
        axis.set_xticks(at, [f"{level:g}" for level in at], fontsize=8.5)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _as_points(
    axis: Axes, rows: pd.DataFrame, number: str, styles: dict[str, dict[str, Any]]
) -> None:
    names = list(dict.fromkeys(rows["variant"]))
    for index, (model, style) in enumerate(styles.items()):
        mine = rows[rows["model"] == model].set_index("variant").reindex(names)
        value = mine[number].to_numpy()
        bounds = np.abs(mine[[f"{number}_low", f"{number}_high"]].to_numpy().T - value)
        axis.errorbar(
            np.arange(len(names)) + 0.8 * ((index + 0.5) / len(styles) - 0.5),
            value,
            bounds,
            color=style["color"],
            marker=style["marker"],
            markersize=4 if len(styles) <= BANDED else 3,
            elinewidth=0.9,
            linestyle="none",
            label=model,
        )
    for border in np.arange(len(names) - 1) + 0.5:
        axis.axvline(border, color="0.85", linewidth=0.8)
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8.5)
    axis.grid(visible=False, axis="x")


def _panels(table: pd.DataFrame, each: float) -> tuple[Figure, list[Axes], pd.DataFrame, str]:
    """A panel per model with a line of ``each`` inches per variant; the hardest if not all fit."""
    chosen, said = _perturbed(table), ""
    rows, columns = grid(table["model"].nunique(), ACROSS + 1)
    names = list(dict.fromkeys(chosen["variant"]))
    if rows * (0.4 + each * len(names)) > TALLEST:
        names, said = _hardest(chosen), HARDEST
        each = max(NARROWEST, min(each, (TALLEST / rows - 0.4) / len(names)))
    chosen = chosen[chosen["variant"].isin(names)]
    size = min(WIDTH, 2 + 3.5 * columns), 1.1 + rows * (0.4 + each * len(names))
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True
    )
    shown = list(axes.flat)[: table["model"].nunique()]
    leave_empty(axes, len(shown))
    shown[0].set_yticks(range(len(names)), names)
    shown[0].set_ylim(len(names) - 0.4, -0.6)
    for axis in shown:
        axis.tick_params(axis="x", labelsize=8, labelbottom=True)
        axis.tick_params(axis="y", labelsize=min(8.5, 50 * each))
    return figure, shown, chosen, said


def _hardest(chosen: pd.DataFrame) -> list[str]:
    """Of each perturbation, the variant that costs most AUC (or accuracy), averaged over models."""
    what = "drop_auc" if chosen["drop_auc"].notna().any() else "drop_accuracy"
    order = {"perturbation": "first", what: "mean"}
    means = chosen.groupby("variant", sort=False).agg(order)
    return list(means.groupby("perturbation", sort=False)[what].idxmax())


def _top_legend(figure: Figure, axis: Axes, columns: int, **options: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, **options)
