"""All curves of several models on the same test images, as objects and as tables to be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facetell.common.labels import CLASSES
from facetell.common.progress import progress
from facetell.curves.binned import ReliabilityDiagram, ScoreHistogram
from facetell.curves.ranked import DetCurve, PrecisionRecallCurve, RocCurve
from facetell.metrics.intervals import Resamples

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
    """By model, and ``roc`` and ``pr`` by positive class and then by model.

    ``before`` and ``after`` are reliability before and after temperature scaling. Where the test
    images are of one class, roc, det and pr are empty.
    """

    roc: dict[str, dict[str, RocCurve]] = field(default_factory=dict)
    det: dict[str, DetCurve] = field(default_factory=dict)
    pr: dict[str, dict[str, PrecisionRecallCurve]] = field(default_factory=dict)
    histograms: dict[str, ScoreHistogram] = field(default_factory=dict)
    before: dict[str, ReliabilityDiagram] = field(default_factory=dict)
    after: dict[str, ReliabilityDiagram] = field(default_factory=dict)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables by name: roc, det, pr, scores, reliability; at most 200 points per curve.

        First come the model and what else a curve is of: score (its class is the positive one), or
        scores (``as trained`` or ``scaled``); then point, a running number, where order matters.
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
    """
    found = Curves()
    two_classes = 0 < np.mean(labels) < 1
    if two_classes:
        found.roc = {positive: {} for positive in POSITIVES}
        found.pr = {positive: {} for positive in POSITIVES}
    for model in progress(list(margins), "curves"):
        margin, cut = margins[model], thresholds[model]
        if two_classes:
            for positive in POSITIVES:
                found.roc[positive][model] = RocCurve.from_predictions(
                    labels, margin, threshold=cut, positive=positive, groups=draws, name=model
                )
                found.pr[positive][model] = PrecisionRecallCurve.from_predictions(
                    labels, margin, threshold=cut, positive=positive, groups=draws, name=model
                )
            found.det[model] = DetCurve.from_predictions(
                labels, margin, threshold=cut, groups=draws, name=model
            )
        found.histograms[model] = ScoreHistogram.from_predictions(
            labels, margin, threshold=cut, groups=draws, name=model
        )
        scale = temperatures[model]
        for diagrams, divisor in ((found.before, 1.0), (found.after, scale)):
            diagrams[model] = ReliabilityDiagram.from_predictions(
                labels, margin / divisor, threshold=cut / divisor, groups=draws, name=model
            )
    return found


def _named(frame: pd.DataFrame, model: str, **columns: str) -> pd.DataFrame:
    """``frame`` with columns before its own: the model, and those given."""
    for place, (name, value) in enumerate(({"model": model} | columns).items()):
        frame.insert(place, name, value)
    return frame
