# SPDX-License-Identifier: Apache-2.0
"""The images of a curve: what they must be, and what leaves their verdicts as they are."""

import numpy as np
import pytest

from facetell.common.errors import UserError
from facetell.metrics.intervals import Resamples, draws_of
from facetell.metrics.scored import Scored

LABELS, MARGINS = np.array([0, 0, 1, 1]), np.array([-1.0, 0.5, 0.5, 2.0])


def test_verdicts_stay_whichever_class_stands_above():
    scored = Scored(LABELS, MARGINS, 0.5)
    real = scored.positive("real")
    assert scored.positive("fake") is scored
    assert real.labels.tolist() == [1, 1, 0, 0]
    # exactly at the threshold is fake, from both sides
    assert ((real.margins >= real.threshold) == (MARGINS < 0.5)).all()
    with pytest.raises(UserError, match="positive must be real or fake, not 'both'"):
        scored.positive("both")


def test_verdicts_stay_at_any_temperature():
    scored = Scored(LABELS, MARGINS, 0.5).with_temperature(4.0)
    assert scored.threshold == 0.125
    assert ((scored.margins >= scored.threshold) == (MARGINS >= 0.5)).all()
    assert Scored(LABELS, MARGINS).with_temperature(4.0).threshold is None
    assert Scored(LABELS, MARGINS).positive("real").threshold is None


def test_groups_are_of_the_same_images():
    assert draws_of(None, resamples=7, seed=1) is None
    draws = draws_of(["a", "a", "b", "c"], resamples=7, seed=1)
    assert draws_of(draws, resamples=9, seed=2) is draws
    again = Resamples(["a", "a", "b", "c"], resamples=7, seed=1)
    values = np.eye(4)
    assert (draws.sums(values) == again.sums(values)).all()
    assert Scored(LABELS, MARGINS, None, draws).positive("real").groups is draws
    with pytest.raises(UserError, match="groups: 4 for 2 images"):
        Scored(LABELS[:2], MARGINS[:2], None, draws)


def test_what_no_ranking_can_be_made_of_is_refused():
    for labels, margins in (([0, 2], [0.0, 1.0]), ([0, 1], [0.0, np.nan]), ([1], [0.0, 1.0])):
        with pytest.raises(ValueError, match="must"):
            Scored(np.array(labels), np.array(margins))
