# SPDX-License-Identifier: Apache-2.0
"""ROC, DET and precision-recall curves of several models at a page's width."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.figure_style import BANDED, WIDTH, look, plt
from facetell.curves import DetCurve, PrecisionRecallCurve, RocCurve
from facetell.metrics import intervals

TITLES = {"fake": "positive = fake", "real": "positive = real"}
MARKS = "marks: verdicts at the threshold chosen on validation"
BANDS = f"bands: {intervals.in_words()}, by person; "


def roc(curves: Mapping[str, Mapping[str, RocCurve]]) -> Figure:
    """ROC of each model; ``curves`` are by positive class, and then by model.

    A row for each positive class, with a linear and a logarithmic FPR axis.
    """
    figure, axes = plt.subplots(
        len(curves), 2, figsize=_size(4.1 * len(curves), curves), squeeze=False, sharey=True
    )
    for row, (positive, found) in zip(axes, curves.items(), strict=True):
        start = min(curve.smallest_rate for curve in found.values())
        for axis, log in zip(row, (False, True), strict=True):
            rates = np.geomspace(start, 1, 200) if log else np.array([0, 1])
            axis.plot(rates, rates, color="0.6", linewidth=1, label="chance")
            for model, style in _styles(found).items():
                found[model].plot(axis, log=log, start=start, band=len(found) <= BANDED, **style)
            negative = "real images called fake" if positive == "fake" else "fakes called real"
            axis.set_xlabel(f"false positive rate: {negative}" + ", log axis" * log)
            axis.set_title(TITLES[positive])
        row[0].set_ylabel(f"true positive rate: {positive} images found")
        row[1].set_ylabel("")
    _legend(figure, axes[0, 0], len(next(iter(curves.values()))))
    return figure


def det(curves: Mapping[str, DetCurve]) -> Figure:
    """Detection error trade-off of each model; normally distributed scores give straight lines."""
    figure, axis = plt.subplots(figsize=_size(7.2, {"fake": curves}))
    axis.axline((0, 0), slope=-1, color="0.6", linewidth=1, label="chance")
    axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, linestyle=":", label="FPR = FNR")
    for model, style in _styles(curves).items():
        curves[model].plot(axis, band=len(curves) <= BANDED, **style)
    axis.set_xlabel("false positive rate: real images called fake (normal deviate)")
    axis.set_ylabel("false negative rate: fakes called real (normal deviate)")
    axis.set_aspect("equal")
    _legend(figure, axis, len(curves))
    return figure


def precision_recall(curves: Mapping[str, Mapping[str, PrecisionRecallCurve]]) -> Figure:
    """Precision and recall of each model; a panel for each positive class."""
    figure, axes = plt.subplots(
        1, len(curves), figsize=_size(4.3, curves, 2), squeeze=False, sharey=True
    )
    for axis, (positive, found) in zip(axes.flat, curves.items(), strict=True):
        chance = next(iter(found.values())).chance
        axis.axhline(chance, color="0.6", linewidth=1, label="chance")
        for model, style in _styles(found).items():
            # one legend for both panels, each of which has an AP of its own
            style["label"] = (
                f"{model}, AP {' / '.join(f'{curves[p][model].ap:.3f}' for p in curves)}"
            )
            found[model].plot(axis, band=len(found) <= BANDED, **style)
        axis.set(xlabel=f"recall: {positive} images found", title=TITLES[positive])
        axis.set_ylabel(f"precision: share of {positive} among images called {positive}")
    _legend(
        figure,
        axes[0, 0],
        len(next(iter(curves.values()))),
        f"AP: positive = {' / '.join(curves)}; ",
    )
    return figure


def _styles(models: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {model: dict(style) for model, style in look(models).items()}


def _short(label: str, models: int) -> str:
    """Without the interval where there are too many models for that."""
    return label if models <= BANDED else label.split(" [")[0]


def _size(
    height: float, curves: Mapping[str, Mapping[str, Any]], more: int = 2
) -> tuple[float, float]:
    """Size in inches; height grows with the legend, which has ``more`` entries than models."""
    entries = len(next(iter(curves.values()))) + more
    return WIDTH, height + 0.35 + 0.2 * -(-entries // _columns(entries - more))


def _columns(models: int) -> int:
    return 3 if models <= BANDED else 4


def _legend(figure: Figure, axis: Axes, models: int, also: str = "") -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        [_short(label, models) for label in labels],
        loc="outside lower center",
        ncols=_columns(models),
        fontsize=9,
        handlelength=3,
        columnspacing=1.5,
        title=also + (BANDS if models <= BANDED else "") + MARKS,
        title_fontsize=9,
    )
