"""ROC, DET, learning and robustness curves of several models, one or fifteen, at a page's width."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from facetell.figures.style import COLOURS, grid, look, plt
from facetell.predictions import CONTROL

WIDTH = 9  # inches; a page shows it at about 0.7 of that
LEGEND = 4  # columns below ROC and DET
RATES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)  # ticks of a DET axis
TITLES = {"fake": "fake score (positive = fake)", "real": "real score (positive = real)"}
SPLITS: dict[str, dict[str, Any]] = {  # of learning curves, in the order in which they are drawn
    "train": {"label": "training", "color": "0.4", "linestyle": ":", "linewidth": 1.8},
    "valid": {"label": "validation", "color": COLOURS[0], "linestyle": "-", "linewidth": 1.5},
    "test": {"label": "test", "color": COLOURS[1], "linestyle": "--", "linewidth": 1.5},
}
HIGHEST_LOSS = 1.4  # nats, twice a coin's: what lies above it would flatten all the rest


def roc(curves: pd.DataFrame) -> Figure:
    """ROC per model; one panel for the fake score, one for the real score."""
    figure, axes = _two_panels(4.9, curves["model"].nunique() + 1)
    for axis, (score, title) in zip(axes, TITLES.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="chance")
        for model, part, style in _each(curves, score):
            label = f"{model}, AUC {part['auc'].iloc[0]:.3f}"
            axis.plot(part["fpr"], part["tpr"], **style, label=label)
        axis.set(xlabel="false positive rate", title=title, xlim=(-0.01, 1), ylim=(0, 1.01))
    axes[0].set_ylabel("true positive rate")
    _legend_below(figure, axes[0])
    return figure


def det(curves: pd.DataFrame) -> Figure:
    """Detection error trade-off on normal-deviate axes; normal scores give straight lines."""
    figure, axes = _two_panels(5.1, curves["model"].nunique() + 2)
    for axis, (score, title) in zip(axes, TITLES.items(), strict=True):
        axis.axline((0, 0), slope=-1, color="0.6", linewidth=1, label="chance")
        axis.axline((0, 0), slope=1, color="0.8", linewidth=0.8, linestyle=":", label="FPR = FNR")
        for model, part, style in _each(curves, score):
            label = f"{model}, EER {100 * part['eer'].iloc[0]:.1f}%"
            axis.plot(part["fpr_deviate"], part["fnr_deviate"], **style, label=label)
        axis.set(xlabel="false positive rate (normal deviate)", title=title)
        _percent_ticks(axis)
    axes[0].set_ylabel("false negative rate (normal deviate)")
    _legend_below(figure, axes[0])
    return figure


def learning(log: pd.DataFrame, best: Mapping[str, int]) -> Figure:
    """Loss and accuracy of training, validation and test per epoch: two panels for each model.

    ``log`` is as in plots/learning.csv, ``best`` the epoch whose weights were kept, by model. All
    models share the scales of loss and accuracy; each has epochs of its own.
    """
    models = list(log["model"].unique())
    rows, columns = grid(len(models))
    size = min(WIDTH, 1 + 3.5 * columns), 1.1 + rows * (4.2 if rows == 1 else 3.2)
    figure, axes = plt.subplots(2 * rows, columns, figsize=size, squeeze=False)
    limits = {}
    for what, (floor, ceiling) in {"loss": (0, HIGHEST_LOSS), "accuracy": (0.45, 1.01)}.items():
        values = log[[f"{split}_{what}" for split in SPLITS]].to_numpy()
        top = min(ceiling, 1.05 * np.nanmax(values)) if what == "loss" else ceiling
        limits[what] = min(floor, np.nanmin(values) - 0.02), top
    for index, model in enumerate(models):
        row, column = divmod(index, columns)
        pair = axes[2 * row, column], axes[2 * row + 1, column]
        _learning_of(pair, log[log["model"] == model], best[model], limits)
        pair[0].set_title(model, fontsize=10)
        if column:
            for axis in pair:
                axis.set_ylabel("")
                axis.tick_params(labelleft=False)
    for axis in axes[-2:, columns - (rows * columns - len(models)) :].flat:
        axis.set_axis_off()
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4 if columns > 1 else 2)
    cut = limits["loss"][1] == HIGHEST_LOSS
    figure.supxlabel(
        "epoch\nThe test curve is drawn only: nothing is selected by it."
        + (f" Loss above {HIGHEST_LOSS} is cut off." if cut else ""),
        fontsize=9,
    )
    return figure


def robustness(table: pd.DataFrame) -> Figure:
    """Accuracy under each variant with its interval: a panel per model, a line at its clean one."""
    variants, models = list(table["variant"].unique()), list(table["model"].unique())
    rows, columns = grid(len(models))
    size = min(WIDTH, 2 + 3.5 * columns), 1 + rows * (0.5 + 0.19 * len(variants))
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True
    )
    for axis, model in zip(axes.flat, models, strict=False):
        part = table[table["model"] == model].set_index("variant").loc[variants]
        axis.axvline(part["accuracy"].iloc[0], color="0.6", linewidth=1)
        for place, row in enumerate(part.itertuples()):
            axis.errorbar(
                row.accuracy,
                place,
                xerr=[[max(0, row.accuracy - row.low)], [max(0, row.high - row.accuracy)]],
                color=_colour(str(row.Index)),
                marker="o",
                markersize=4,
                capsize=2,
            )
        axis.set_title(model, fontsize=10)
    axes[0, 0].set_yticks(range(len(variants)), variants)
    axes[0, 0].set_ylim(len(variants) - 0.5, -0.5)
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    figure.supxlabel("accuracy on the test images (95% interval); line: on clean ones", fontsize=10)
    return figure


def _two_panels(height: float, entries: int) -> tuple[Figure, np.ndarray]:
    """Two panels, about square; ``height`` (inches) grows by what the legend's ``entries`` need."""
    size = WIDTH, height + 0.2 * -(-entries // LEGEND)
    figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, gridspec_kw={"wspace": 0.04})
    return figure, axes


def _legend_below(figure: Figure, axis: Axes) -> None:
    """One legend for both panels: AUC and EER of the two scores are the same."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=LEGEND, fontsize=9, handlelength=3.2
    )


def _learning_of(
    pair: tuple[Axes, Axes], part: pd.DataFrame, best: int, limits: dict[str, tuple[float, float]]
) -> None:
    """One model: loss above, accuracy below, and a mark on validation at the epoch kept."""
    last = part["epoch"].max()
    dots: dict[str, Any] = {"marker": "o", "markersize": 3} if last <= 12 else {}
    for axis, what in zip(pair, ("loss", "accuracy"), strict=True):
        for split, style in SPLITS.items():
            axis.plot(part["epoch"], part[f"{split}_{what}"], **style, **dots)
        kept = part[part["epoch"] == best]
        axis.plot(
            kept["epoch"],
            kept[f"valid_{what}"],
            color="black",
            marker="o",
            markersize=8,
            fillstyle="none",
            linestyle="none",
            label="epoch kept, by validation",
        )
        axis.set(xlim=(0.5, last + max(0.5, 0.06 * last)), ylim=limits[what])
        axis.xaxis.set_major_locator(
            MaxNLocator(5, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        )
        axis.set_ylabel("loss (nats)" if what == "loss" else "accuracy")
    pair[0].tick_params(labelbottom=False)


def _colour(variant: str) -> str:
    """Clean black, the control grey, every perturbation blue."""
    return {"clean": "black", CONTROL: "0.55"}.get(variant, COLOURS[0])


def _each(curves: pd.DataFrame, score: str) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    styles = look(curves["model"].unique())
    for model, part in curves[curves["score"] == score].groupby("model", sort=False):
        style = {key: styles[str(model)][key] for key in ("color", "linestyle")}
        yield str(model), part, style | {"linewidth": 1.6}


def _percent_ticks(axis: Axes) -> None:
    labels = [f"{100 * rate:g}%" for rate in RATES]
    axis.set_xticks(norm.ppf(RATES), labels, rotation=45)
    axis.set_yticks(norm.ppf(RATES), labels)
    axis.set_xlim(norm.ppf(0.0005), norm.ppf(0.9995))
    axis.set_ylim(norm.ppf(0.0005), norm.ppf(0.9995))
