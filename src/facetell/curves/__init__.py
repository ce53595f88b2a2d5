"""Curves that are computed once, then drawn, stored or compared: in a notebook or by ``compare``.

As scikit-learn's displays, but apart from matplotlib, with 95% bands that take a person for an
observation, the operating point of a frozen threshold, and infinite margins allowed.

>>> from facetell.curves import RocCurve
>>> labels = [0, 0, 1, 0, 1]  # 1 = fake
>>> margins = [-2.0, -1.0, 0.0, 1.0, 2.0]  # fake logit - real logit
>>> curve = RocCurve.from_predictions(labels, margins, threshold=0.5, name="by hand")
>>> round(curve.auc, 4)
0.8333
>>> curve.point  # FPR and TPR of the verdicts at the threshold
Point(x=0.3333333333333333, y=0.5)
>>> curve.to_frame().round(2).to_dict("list")
{'fpr': [0.0, 0.0, 0.33, 0.33, 1.0], 'tpr': [0.0, 0.5, 0.5, 1.0, 1.0]}
>>> curve.plot().get_ylabel()
'true positive rate'
"""

from facetell.curves.binned import ReliabilityDiagram, ScoreHistogram
from facetell.curves.ranked import DetCurve, Point, PrecisionRecallCurve, RocCurve
from facetell.curves.selection import Curves, curves_of
from facetell.evaluation.frequency import sensitivity
from facetell.evaluation.learning_curve import by_epoch

__all__ = [
    "Curves",
    "DetCurve",
    "Point",
    "PrecisionRecallCurve",
    "ReliabilityDiagram",
    "RocCurve",
    "ScoreHistogram",
    "by_epoch",
    "curves_of",
    "sensitivity",
]
