# SPDX-License-Identifier: Apache-2.0
"""Curves that are computed once, then drawn, stored or compared: in a notebook or by ``compare``.

They are like scikit-learn's displays, but computing them needs no matplotlib, their 95% bands take
a person as one observation, they mark the operating point of a frozen threshold, and margins may be
infinite.

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

from facetell.curves.base import Curve
from facetell.curves.det import DetCurve
from facetell.curves.over_thresholds import Band, Point
from facetell.curves.precision_recall import PrecisionRecallCurve
from facetell.curves.reliability import ReliabilityDiagram
from facetell.curves.roc import RocCurve
from facetell.curves.score_histogram import ScoreHistogram
from facetell.curves.several_models import Curves, curves_of

__all__ = [
    "Band",
    "Curve",
    "Curves",
    "DetCurve",
    "Point",
    "PrecisionRecallCurve",
    "ReliabilityDiagram",
    "RocCurve",
    "ScoreHistogram",
    "curves_of",
]
