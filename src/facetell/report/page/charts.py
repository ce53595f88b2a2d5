# SPDX-License-Identifier: Apache-2.0
"""The plots of ``dvc plots`` as interactive charts: the same specifications, filled as dvc fills
them, with models that can be singled out in the legend."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from facetell.evaluation.robustness import frequencies, robustness
from facetell.report.number_format import with_interval
from facetell.report.page.inputs import Inputs, Plot
from facetell.report.page.parts import Chart, figure

REVISION = "rev"  # the field by which dvc tells revisions apart
# figures of the compare stage that stand for a chart on paper, by its table and column
DRAWN = {
    ("roc", "tpr"): "roc",
    ("det", "fnr_deviate"): "det",
    ("pr", "precision"): "pr",
    ("scores", "share"): "scores",
    ("reliability", "observed"): "reliability",
    ("learning", "valid_loss"): "learning",
    ("learning", "valid_accuracy"): "learning",
    ("robustness", "accuracy"): "robustness_accuracy",
    ("robustness", "auc"): "robustness_auc",
    ("frequency", "accuracy"): "frequency",
    ("frequency", "auc"): "frequency",
}


def charts(found: Inputs, *tables: str) -> list[Chart]:
    """The charts of these tables that have something to show; a figure that stands for two of them
    on paper is given to the first."""
    taken: set[str] = set()
    made = []
    for plot in found.plots:
        if plot.data in tables and _rows(found.curves.get(plot.data, "")):
            name = DRAWN.get((plot.data, plot.y), "")
            alt = f"{plot.title}: {plot.y_label} against {plot.x_label}. {_said(found, plot)}"
            drawn = None
            if name and name not in taken:
                drawn = figure(found.figures / f"compare/{name}.png", plot.title, alt)
                taken.add(name)
            spec = specification(plot) | {"description": alt}  # read out by screen readers
            made.append(Chart(plot.title, alt, spec, plot.data, drawn))
    return made


def specification(plot: Plot, revisions: int = 1) -> dict[str, Any]:
    """The template filled; its data is a table of the page by name, and its title the page's.

    With one revision, nothing tells revisions apart, so their legend is left out.
    """
    anchors = {
        "<DVC_METRIC_DATA>": [],
        "<DVC_METRIC_TITLE>": "",
        "<DVC_METRIC_X>": plot.x,
        "<DVC_METRIC_Y>": plot.y,
        "<DVC_METRIC_X_LABEL>": plot.x_label,
        "<DVC_METRIC_Y_LABEL>": plot.y_label,
    }
    spec = _filled(copy.deepcopy(dict(plot.template)), anchors)
    spec["data"] = {"name": plot.data}
    for name in ("title", "$schema"):  # the page has a title, and its own version of Vega-Lite
        spec.pop(name, None)
    if revisions == 1:
        for encoding in _encodings(spec):
            for channel, said in list(encoding.items()):
                if isinstance(said, dict) and said.get("field") == REVISION:
                    del encoding[channel]
    _select_by_legend(spec)
    return spec


def _filled(part: Any, anchors: Mapping[str, Any]) -> Any:
    if isinstance(part, dict):
        return {key: _filled(value, anchors) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, anchors) for value in part]
    if not isinstance(part, str) or part in anchors:
        return anchors.get(part, part) if isinstance(part, str) else part
    for anchor, value in anchors.items():  # such as in the expression of a filter
        part = part.replace(anchor, str(value)) if anchor in part else part
    return part


def _units(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Parts of a specification that draw something."""
    if "mark" in spec:
        yield spec
    for inner in [*spec.get("layer", ()), *([spec["spec"]] if "spec" in spec else ())]:
        yield from _units(inner)


def _encodings(spec: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return [unit["encoding"] for unit in _units(spec) if "encoding" in unit]


def _select_by_legend(spec: dict[str, Any]) -> None:
    """A click on a model in the legend pales the others."""
    units = [unit for unit in _units(spec) if "color" in unit.get("encoding", {})]
    for unit in units:
        shade = {"condition": {"param": "chosen", "value": 1}, "value": 0.12}
        unit["encoding"]["opacity"] = shade
    if units:
        chosen = {"type": "point", "fields": ["model"]}
        units[0]["params"] = [{"name": "chosen", "select": chosen, "bind": "legend"}]


def _rows(csv: str) -> bool:
    """Whether a table has more than its heads."""
    return csv.count("\n") > 1


def _said(found: Inputs, plot: Plot) -> str:
    """What the chart shows, in numbers."""
    scores = found.scores
    if plot.data in ("roc", "det", "pr"):
        number, title = ("ap", "AP") if plot.data == "pr" else ("auc", "AUC")
        numbers = [f"{m} {with_interval(one['clean'], number)}" for m, one in scores.items()]
        return f"{title}: {'; '.join(numbers)}."
    if plot.data == "reliability":
        numbers = [
            f"{m} {with_interval(one['clean'], 'ece')}, after temperature scaling "
            f"{with_interval(one['calibration'], 'ece')}"
            for m, one in scores.items()
        ]
        return f"Expected calibration error: {'; '.join(numbers)}."
    if plot.data == "robustness":
        worst = [
            f"{m} {one['robustness']['worst']} ({one['robustness']['auc_worst']:.3f})"
            for m, one in scores.items()
            if one["robustness"]
        ]
        return f"Lowest AUC: {'; '.join(worst)}." if worst else ""
    if plot.data == "frequency":
        return " ".join(frequencies(robustness(scores))).replace("`", "")
    if plot.data == "learning":
        epochs = [f"{m} {scores[m]['training']['cost']['best_epoch']}" for m in found.models]
        return f"The epoch whose weights were kept: {'; '.join(epochs)}."
    return f"Models: {', '.join(scores)}."
