# SPDX-License-Identifier: Apache-2.0
"""Frequency sensitivity: how good each detector is without a band of frequencies."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.figure_style import COLOURS, WIDTH, grid, leave_empty, plt
from facetell.evaluation.frequency_sensitivity import CUTOFFS
from facetell.evaluation.robustness import BANDS, NYQUIST
from facetell.metrics import intervals

NUMBERS = {"auc": ("AUC", COLOURS[0], "-"), "accuracy": ("accuracy", COLOURS[1], "--")}
MARKS = {"auc": "o", "accuracy": "s"}


def frequency_sensitivity(table: pd.DataFrame) -> Figure:
    """AUC and accuracy against the removed band: a panel per model.

    ``table`` is that of ``facetell.evaluation.frequency_sensitivity.sensitivity``. The further a
    step lies below the line of clean images, the more the detector depends on that band.
    """
    models = list(table["model"].unique())
    rows, columns = grid(len(models), 4)
    size = min(WIDTH, 2.4 + 3 * columns), 1.5 + rows * (3.6 if rows == 1 else 2.1)
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True
    )
    for axis, model in zip(axes.flat, models, strict=False):
        _of_model(axis, table[table["model"] == model])
        axis.set_title(model, fontsize=10)
    leave_empty(axes, len(models))
    lowest = table[["accuracy_low", "auc_low"]].min(axis=None)
    axes[0, 0].set(xlim=(0, NYQUIST), ylim=(min(0.45, lowest - 0.02), 1.01))
    figure.supxlabel(
        "spatial frequency (cycles per pixel; 0.5 is Nyquist's, and the last band holds the "
        "corners up to 0.71)\nsteps: this band removed; marks: all above removed; thin lines: "
        f"clean images; {intervals.in_words()} intervals, by person",
        fontsize=9,
    )
    figure.supylabel("AUC and accuracy on the test images", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=9)
    return figure


def _of_model(axis: Axes, part: pd.DataFrame) -> None:
    bands = part[part["filter"] == BANDS].sort_values("removed_from")
    cutoffs = part[part["filter"] == CUTOFFS]
    clean = part[part["filter"] == "clean"].iloc[0]
    axis.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    for number, (name, colour, dash) in NUMBERS.items():
        if np.isnan(clean[number]):
            continue
        axis.axhline(clean[number], color=colour, linewidth=0.9, linestyle=dash, alpha=0.7)
        low, high = f"{number}_low", f"{number}_high"
        if len(bands):
            edges = [*bands["removed_from"], min(NYQUIST, bands["removed_to"].iloc[-1])]
            label = f"{name} without the band"
            axis.stairs(
                bands[number], edges, baseline=None, color=colour, linestyle=dash, linewidth=1.8,
                label=label,
            )  # fmt: skip
            axis.stairs(
                bands[high], edges, baseline=bands[low], fill=True, color=colour, alpha=0.15
            )
        if len(cutoffs):
            value = cutoffs[number].to_numpy()
            bounds = np.abs(cutoffs[[low, high]].to_numpy().T - value)
            axis.errorbar(
                cutoffs["removed_from"], value, bounds, color=colour, linestyle="none",
                marker=MARKS[number], markerfacecolor="white", markersize=5, elinewidth=1,
                label=f"{name}, low-pass",
            )  # fmt: skip
