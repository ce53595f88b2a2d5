"""ROC, DET and precision-recall: one curve into an axis, or several models at a page's width."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from scipy.stats import norm

from facetell.common.figure_style import WIDTH, finished, look, panel, plt
from facetell.curves.ranked import (
    FINEST,
    RATES,
    Band,
    DetCurve,
    Point,
    PrecisionRecallCurve,
    RocCurve,
    deviate,
)

TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)  # of a DET axis
ENDS = 0.0005, 0.9995  # of a DET axis
BANDED = 5  # models up to which bands can be told apart
TITLES = {"fake": "positive = fake", "real": "positive = real"}
MARKS = "marks: verdicts at the threshold chosen on validation"
BANDS = "bands: 95%, by person; "


def roc_curve(
    curve: RocCurve,
    ax: Axes | None = None,
    *,
    log: bool = False,
    band: bool = True,
    finest: float | None = None,
    **style: Any,
) -> Axes:
    """One ROC curve; ``log`` starts the FPR axis at ``finest``, or at the curve's smallest rate.

    ``style`` is of the line, but for ``marker``, which stands at the operating point only.
    """
    axis = panel(ax)
    x, y = (curve.fpr, curve.tpr) if not log else _filled(curve.fpr, curve.tpr, RATES)
    start = finest or _smallest([curve])
    if log:
        x = np.maximum(x, start)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    style = {"label": _label(curve.name, "AUC", curve.auc, curve.auc_interval)} | style
    _line(axis, x, y, curve.band if band else None, curve.point, style, start if log else None)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", ylim=(0, 1.01))
    axis.set_xlim(start if log else -0.01, 1)
    return finished(axis, ax)


def det_curve(curve: DetCurve, ax: Axes | None = None, *, band: bool = True, **style: Any) -> Axes:
    """One DET curve on normal-deviate axes; ``style`` as of ``roc_curve``."""
    axis = panel(ax)
    x, y = _filled(curve.fpr, curve.fnr, RATES)
    style = {"label": _label(curve.name, "EER", curve.eer, curve.eer_interval)} | style
    bounds, mark = curve.band, curve.point
    if bounds is not None:
        bounds = Band(*(deviate(part) for part in (bounds.grid, bounds.low, bounds.high)))
    if mark is not None:
        mark = Point(*(float(part) for part in deviate(mark)))
    _line(axis, deviate(x), deviate(y), bounds if band else None, mark, style)
    labels = [f"{100 * rate:g}%" for rate in TICKS]
    axis.set_xticks(norm.ppf(TICKS), labels)
    axis.set_yticks(norm.ppf(TICKS), labels)
    axis.set(xlim=norm.ppf(ENDS), ylim=norm.ppf(ENDS))
    axis.set(xlabel="false positive rate", ylabel="false negative rate")
    return finished(axis, ax)


def precision_recall_curve(
    curve: PrecisionRecallCurve, ax: Axes | None = None, *, band: bool = True, **style: Any
) -> Axes:
    """One precision-recall curve, in steps as average precision counts it; ``style`` as above."""
    axis = panel(ax)
    style = {"label": _label(curve.name, "AP", curve.ap, curve.ap_interval)} | style
    style["drawstyle"] = "steps-pre"
    _line(axis, curve.recall, curve.precision, curve.band if band else None, curve.point, style)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    return finished(axis, ax)


def roc(curves: Mapping[str, Mapping[str, RocCurve]]) -> Figure:
    """ROC of each model, by positive class and then by model.

    A row for each positive class, with a linear and a logarithmic FPR axis.
    """
    figure, axes = plt.subplots(
        len(curves), 2, figsize=_size(4.1 * len(curves), curves), squeeze=False, sharey=True
    )
    for row, (positive, found) in zip(axes, curves.items(), strict=True):
        finest = _smallest(found.values())
        for axis, log in zip(row, (False, True), strict=True):
            rates = np.geomspace(finest, 1, 200) if log else np.array([0, 1])
            axis.plot(rates, rates, color="0.6", linewidth=1, label="chance")
            for model, style in _styles(found).items():
                roc_curve(
                    found[model], axis, log=log, finest=finest, band=len(found) <= BANDED, **style
                )
            negative = "real images called fake" if positive == "fake" else "fakes called real"
            axis.set_xlabel(f"false positive rate: {negative}" + ", log axis" * log)
            axis.set_title(TITLES[positive])
        row[0].set_ylabel(f"true positive rate: {positive} images found")
        row[1].set_ylabel("")
    _legend(figure, axes[0, 0], len(next(iter(curves.values()))))
    return figure


def det(curves: Mapping[str, DetCurve]) -> Figure:
    """Detection error trade-off of each model; normal scores give straight lines."""
    figure, axis = plt.subplots(figsize=_size(7.2, {"fake": curves}))
    axis.axline((0, 0), slope=-1, color="0.6", linewidth=1, label="chance")
    axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, linestyle=":", label="FPR = FNR")
    for model, style in _styles(curves).items():
        det_curve(curves[model], axis, band=len(curves) <= BANDED, **style)
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
            # the other panel's AP is another
            style["label"] = (
                f"{model}, AP {' / '.join(f'{curves[p][model].ap:.3f}' for p in curves)}"
            )
            precision_recall_curve(found[model], axis, band=len(found) <= BANDED, **style)
        axis.set(xlabel=f"recall: {positive} images found", title=TITLES[positive])
        axis.set_ylabel(f"precision: share of {positive} among images called {positive}")
    _legend(
        figure,
        axes[0, 0],
        len(next(iter(curves.values()))),
        f"AP: positive = {' / '.join(curves)}; ",
    )
    return figure


def _line(
    axis: Axes,
    x: np.ndarray,
    y: np.ndarray,
    band: Band | None,
    point: Point | None,
    style: dict[str, Any],
    start: float | None = None,
) -> None:
    """A line with its band below it, and a mark at the operating point."""
    style = {"linewidth": 1.6} | style
    marker = style.pop("marker", "o")
    (line,) = axis.plot(x, y, **style)
    colour = line.get_color()
    if band is not None:
        grid = band.grid if start is None else np.append(start, band.grid[band.grid > start])
        axis.fill_between(grid, *band.at(grid), color=colour, alpha=0.13, linewidth=0)
    if point is not None:
        place = max(point.x, start or -np.inf), point.y
        axis.plot(
            *place,
            color=colour,
            marker=marker,
            markersize=7,
            markeredgecolor="white",
            clip_on=False,
            zorder=5,
        )


def _filled(x: np.ndarray, y: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with places of ``grid`` in between: straight pieces bend on other axes."""
    place = np.searchsorted(x, grid, "right")
    return np.insert(x, place, grid), np.insert(y, place, np.interp(grid, x, y))


def _smallest(curves: Iterable[RocCurve]) -> float:
    """The smallest FPR that one image more or less makes; the start of a logarithmic axis."""
    smallest = min(curve.fpr[curve.fpr > 0].min() for curve in curves)
    return float(np.clip(smallest, FINEST, 0.05))


def _label(name: str | None, what: str, value: float, interval: list[float] | None) -> str:
    said = f"{what} {value:.3f}"
    if interval:
        said += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return f"{name}, {said}" if name else said


def _styles(models: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {model: dict(style) for model, style in look(models).items()}


def _short(label: str, models: int) -> str:
    """Without the interval, where there are too many models for bands as well."""
    return label if models <= BANDED else label.split(" [")[0]


def _size(
    height: float, curves: Mapping[str, Mapping[str, Any]], more: int = 2
) -> tuple[float, float]:
    """Height (inches) grows by what the legend's entries, ``more`` than models, need."""
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
