# SPDX-License-Identifier: Apache-2.0
"""The most confident mistakes of each model, for the first screen and for the browser."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from facetell.evaluation.model_scores import margins_of
from facetell.explain.survey.sampled import worst_mistakes
from facetell.report.page.inputs import Inputs


class Mistake(NamedTuple):
    """A test image that a model judges wrongly; ``probability`` of fake is calibrated."""

    row: int
    id: str
    fake: bool
    probability: float


def most_confident(found: Inputs, model: str) -> Mistake | None:
    """The mistake of which a model is most sure, by its calibrated probability of what is wrong;
    None if it makes none."""
    labels = found.test["label"].to_numpy()
    margins = margins_of(found.predictions[model], found.test, "clean")
    rows = worst_mistakes(labels, margins, found.predictions[model].threshold)
    if not len(rows):
        return None
    row = int(max(rows, key=lambda at: -margins[at] if labels[at] == 1 else margins[at]))
    chance = probabilities(found, model, margins)
    return Mistake(row, str(found.test["id"].iloc[row]), bool(labels[row] == 1), float(chance[row]))


def probabilities(found: Inputs, model: str, margins: np.ndarray) -> np.ndarray:
    """Calibrated P(fake), in [0, 1]."""
    return np.asarray(expit(margins / found.scores[model]["calibration"]["temperature"]))
