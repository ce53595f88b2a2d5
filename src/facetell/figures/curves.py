"""ROC, DET, learning and robustness curves of several models side by side."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from facetell.figures.style import look, plt

RATES = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)  # ticks of a DET axis
TITLES = {"fake": "fake score (positive = fake)", "real": "real score (positive = real)"}


def roc(curves: pd.DataFrame) -> Figure:
    """ROC per model; one panel for the fake score, one for the real score."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
    for axis, (score, title) in zip(axes, TITLES.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="chance")
        for model, part, style in _each(curves, score):
            axis.plot(
                part["fpr"], part["tpr"], **style, label=f"{model}, AUC {part['auc'].iloc[0]:.3f}"
            )
        axis.set(xlabel="false positive rate", title=title, xlim=(-0.01, 1), ylim=(0, 1.01))
        axis.legend(loc="lower right", fontsize=9)
    axes[0].set_ylabel("true positive rate")
    return figure


def det(curves: pd.DataFrame) -> Figure:
    """Detection error trade-off on normal-deviate axes; normal scores give straight lines."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True)
    for axis, (score, title) in zip(axes, TITLES.items(), strict=True):
        axis.axline((0, 0), slope=-1, color="0.6", linewidth=1, label="chance")
        axis.axline((0, 0), slope=1, color="0.8", linewidth=0.8, linestyle=":", label="FPR = FNR")
        for model, part, style in _each(curves, score):
            axis.plot(
                part["fpr_deviate"],
                part["fnr_deviate"],
                **style,
                label=f"{model}, EER {100 * part['eer'].iloc[0]:.1f}%",
            )
        axis.set(xlabel="false positive rate (normal deviate)", title=title)
        _percent_ticks(axis)
        axis.legend(loc="upper right", fontsize=9)
    axes[0].set_ylabel("false negative rate (normal deviate)")
    return figure


def learning(log: pd.DataFrame) -> Figure:
    """Loss and accuracy of training (thin) and validation (bold, marked) per epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8))
    styles = look(log["model"].unique())
    for axis, what in zip(axes, ("loss", "accuracy"), strict=True):
        for model, part in log.groupby("model", sort=False):
            style = styles[str(model)]
            colour = style["color"]
            axis.plot(part["epoch"], part[f"train_{what}"], color=colour, lw=1, ls=":")
            axis.plot(
                part["epoch"],
                part[f"valid_{what}"],
                color=colour,
                marker=style["marker"],
                markersize=5,
                lw=1.8,
                label=str(model),
            )
        axis.set(xlabel="epoch", ylabel=f"{what}" + (" (nats)" if what == "loss" else ""))
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylim(bottom=0)
    axes[0].plot([], [], color="0.3", lw=1, ls=":", label="training")
    axes[0].plot([], [], color="0.3", lw=1.8, marker="o", label="validation")
    axes[0].legend(fontsize=9)
    return figure


def robustness(table: pd.DataFrame) -> Figure:
    """Accuracy per variant and model, with intervals; clean first."""
    variants = list(dict.fromkeys(table["variant"]))
    models = list(dict.fromkeys(table["model"]))
    styles = look(models)
    figure, axis = plt.subplots(figsize=(9, 3.9))
    for index, model in enumerate(models):
        part = table[table["model"] == model].set_index("variant").loc[variants]
        place = np.arange(len(variants)) + (index - (len(models) - 1) / 2) * 0.8 / len(models)
        low, high = part["accuracy"] - part["low"], part["high"] - part["accuracy"]
        axis.errorbar(
            place,
            part["accuracy"],
            yerr=[low.clip(0), high.clip(0)],
            capsize=3,
            linestyle="none",
            color=styles[model]["color"],
            marker=styles[model]["marker"],
            label=model,
        )
    for edge in range(1, len(variants)):
        axis.axvline(edge - 0.5, color="0.9", linewidth=0.8)
    axis.set_xticks(range(len(variants)), [name.replace("_", "\n") for name in variants])
    axis.grid(axis="x", visible=False)
    axis.set(ylabel="accuracy (95% interval)", ylim=(0, 1.02), xlabel="test images")
    axis.legend(ncols=len(models), loc="lower left", fontsize=9)
    return figure


def _each(curves: pd.DataFrame, score: str):  # type: ignore[no-untyped-def]
    styles = look(curves["model"].unique())
    for model, part in curves[curves["score"] == score].groupby("model", sort=False):
        style = {key: styles[str(model)][key] for key in ("color", "linestyle")}
        yield model, part, style


def _percent_ticks(axis: Axes) -> None:
    labels = [f"{100 * rate:g}%" for rate in RATES]
    axis.set_xticks(norm.ppf(RATES), labels, rotation=45)
    axis.set_yticks(norm.ppf(RATES), labels)
    axis.set_xlim(norm.ppf(0.0005), norm.ppf(0.9995))
    axis.set_ylim(norm.ppf(0.0005), norm.ppf(0.9995))
    axis.set_aspect("equal")
