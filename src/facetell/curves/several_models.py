# SPDX-License-Identifier: Apache-2.0
"""All curves of several models on the same test images, as objects and as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facetell.common.labels import CLASSES
from facetell.common.progress import progress, worked
from facetell.curves.det import DetCurve
from facetell.curves.precision_recall import PrecisionRecallCurve
from facetell.curves.reliability import ReliabilityDiagram
from facetell.curves.roc import RocCurve
from facetell.curves.score_histogram import ScoreHistogram
from facetell.metrics.intervals import Resamples
from facetell.metrics.scored import Scored

POSITIVES = CLASSES[::-1]  # fake first
# columns of a table that has no rows
COLUMNS = {
    "roc": ("model", "score", "point", "fpr", "tpr"),
    "det": ("model", "point", "fpr", "fnr", "fpr_deviate", "fnr_deviate"),
    "pr": ("model", "score", "point", "recall", "precision"),
    "scores": ("model", "class", "margin_from", "margin_to", "count", "share"),
    "reliability": ("model", "scores", "score_from", "score_to", "predicted", "observed", "count"),
}


@dataclass
class Curves:
    """Curves by model; ``roc`` and ``pr`` by positive class, and then by model.

    ``before`` and ``after`` are reliability before and after temperature scaling. Where the test
    images are of one class, roc, det and pr are empty. ``curves_of`` fills it.

    >>> list(Curves().frames()["roc"].columns)
    ['model', 'score', 'point', 'fpr', 'tpr']
    """

    roc: dict[str, dict[str, RocCurve]] = field(default_factory=dict)
    det: dict[str, DetCurve] = field(default_factory=dict)
    pr: dict[str, dict[str, PrecisionRecallCurve]] = field(default_factory=dict)
    histograms: dict[str, ScoreHistogram] = field(default_factory=dict)
    before: dict[str, ReliabilityDiagram] = field(default_factory=dict)
    after: dict[str, ReliabilityDiagram] = field(default_factory=dict)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables by name: roc, det, pr, scores, reliability; at most 200 points per curve.

        The first columns say which curve it is: model, and score (the positive class) or scores
        (``as trained`` or ``scaled``). Where order matters, point, a running number, follows.
        """
        parts: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
        for name, groups in (("roc", self.roc), ("pr", self.pr)):
            for positive, curves in groups.items():
                for model, curve in curves.items():
                    parts[name].append(_named(curve.to_frame(), model, score=positive))
        for model, det in self.det.items():
            parts["det"].append(_named(det.to_frame(), model))
        for name in ("roc", "det", "pr"):
            for part in parts[name]:
                part.insert(len(part.columns.intersection(["model", "score"])), "point", part.index)
        for model, histogram in self.histograms.items():
            parts["scores"].append(_named(histogram.to_frame(), model))
        for scores, diagrams in (("as trained", self.before), ("scaled", self.after)):
            for model, diagram in diagrams.items():
                parts["reliability"].append(_named(diagram.to_frame(), model, scores=scores))
        return {
            name: pd.concat(part, ignore_index=True)
            if part
            else pd.DataFrame(columns=COLUMNS[name])
            for name, part in parts.items()
        }


def curves_of(
    labels: np.ndarray,
    margins: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    temperatures: Mapping[str, float],
    draws: Resamples,
) -> Curves:
    """Every curve of every model.

    Parameters
    ----------
    labels : (N,), 1 = fake. margins : by model, (N,), of the same images.
    thresholds : by model, a margin, frozen on validation. temperatures : by model.
    draws : of the persons of these N images; all curves share them.

    >>> labels, margins = np.arange(6) % 2, {"a": np.arange(6.0), "b": np.arange(6.0)[::-1]}
    >>> persons = Resamples(np.arange(6), resamples=20)
    >>> found = curves_of(labels, margins, {"a": 2.5, "b": 2.5}, {"a": 1.0, "b": 2.0}, persons)
    >>> round(found.roc["fake"]["a"].auc, 4), round(found.roc["fake"]["b"].auc, 4)
    (0.6667, 0.3333)
    >>> list(found.frames())
    ['roc', 'det', 'pr', 'scores', 'reliability']
    """
    found = Curves()
    two_classes = 0 < np.mean(labels) < 1
    if two_classes:
        found.roc = {positive: {} for positive in POSITIVES}
        found.pr = {positive: {} for positive in POSITIVES}
    for model in progress(list(margins), "curves"):
        scored = Scored(labels, margins[model], thresholds[model], draws)
        if two_classes:
            for positive in POSITIVES:
                of = {"positive": positive, "name": model}
                found.roc[positive][model] = RocCurve.from_scored(scored, **of)
                found.pr[positive][model] = PrecisionRecallCurve.from_scored(scored, **of)
            found.det[model] = DetCurve.from_scored(scored, name=model)
        worked()
        found.histograms[model] = ScoreHistogram.from_scored(scored, name=model)
        found.before[model] = ReliabilityDiagram.from_scored(scored, name=model)
        found.after[model] = ReliabilityDiagram.from_scored(
            scored.with_temperature(temperatures[model]), name=model
        )
    return found


def _named(frame: pd.DataFrame, model: str, **columns: str) -> pd.DataFrame:
    """``frame`` with columns before its own: the model, and those given."""
    for place, (name, value) in enumerate(({"model": model} | columns).items()):
        frame.insert(place, name, value)
    return frame
