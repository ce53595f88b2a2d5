# SPDX-License-Identifier: Apache-2.0
"""Learning curves of several models, one or fifteen, at a page's width."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facetell.common.figure_style import COLOURS, WIDTH, grid, plt

SPLITS: dict[str, dict[str, Any]] = {  # of learning curves, in the order in which they are drawn
    "train": {"label": "training", "color": "0.4", "linestyle": ":", "linewidth": 1.8},
    "valid": {"label": "validation", "color": COLOURS[0], "linestyle": "-", "linewidth": 1.5},
    "test": {"label": "test", "color": COLOURS[1], "linestyle": "--", "linewidth": 1.5},
}
HIGHEST_LOSS = 1.4  # nats, twice that of a coin; an axis up to higher ones would flatten the rest


def learning(log: pd.DataFrame, best: Mapping[str, int]) -> Figure:
    """Loss and accuracy of training, validation and test per epoch: two panels for each model.

    ``log`` is as in plots/learning.csv, ``best`` the epoch whose weights were kept, by model. All
    models share the scales of loss and accuracy; each has its own number of epochs.
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
        "epoch\nThe test curve is only drawn; nothing is selected by it."
        + (f" Loss above {HIGHEST_LOSS} is cut off." if cut else ""),
        fontsize=9,
    )
    return figure


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
