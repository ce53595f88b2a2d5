# SPDX-License-Identifier: Apache-2.0
"""Would a measure without truth have picked the maps that find the truth?

Faithfulness can be measured on any photograph, planted truth only on rendered ones. Where both are
known, Kendall's tau-b (1945) of the two rankings of maps says how far the first may stand in for
the second: 1 the same order, 0 none, -1 the reverse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.metrics.intervals import Resamples, interval


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b with its 95% interval over persons, of ``maps`` ranked maps.

    ``n`` images and ``persons`` have the measure; NaN where a ranking is all ties.
    """

    tau: float
    low: float
    high: float
    maps: int
    n: int
    persons: int


def agreement(
    measure: np.ndarray,
    truth: np.ndarray,
    persons: Sequence[Any],
    truth_persons: Sequence[Any] | None = None,
    *,
    higher_is_better: bool,
    resamples: int,
    seed: int,
) -> Agreement:
    """How alike maps are ranked by their mean ``measure`` and by their mean ``truth``.

    Parameters
    ----------
    measure, truth : values per image and map, (N, M) and (N', M), the maps in the same order;
        high truth is good. The images may differ; persons that both know are drawn together.
    persons, truth_persons : of the images, (N,) and (N',); the second only where it differs.
    higher_is_better : False reverses the measure, so that a good one has a positive tau.

    Raises
    ------
    UserError : fewer than two maps, shapes that do not fit, or values that are not finite.
    """
    others = persons if truth_persons is None else truth_persons
    measure, truth = np.asarray(measure, dtype=float), np.asarray(truth, dtype=float)
    if measure.ndim != 2 or truth.ndim != 2 or measure.shape[1] != truth.shape[1]:
        raise UserError(f"measure {measure.shape} and truth {truth.shape} rank different maps")
    if len(persons) != len(measure) or len(others) != len(truth):
        raise UserError("each image needs its person, of the measure and of the truth")
    if measure.shape[1] < 2 or not (np.isfinite(measure).all() and np.isfinite(truth).all()):
        raise UserError("a ranking needs at least two maps with finite values; leave others out")
    sign = 1.0 if higher_is_better else -1.0
    draws = Resamples([*persons, *others], resamples=resamples, seed=seed)
    first, second = slice(0, len(measure)), slice(len(measure), None)
    ours = _means(sign * measure, draws, first)
    theirs = _means(truth, draws, second)
    taus = tau_b(ours, theirs)
    tau = float(tau_b(sign * measure.mean(axis=0), truth.mean(axis=0)))
    low, high = interval(taus) if np.isfinite(taus).any() else [float("nan")] * 2
    return Agreement(tau, low, high, measure.shape[1], len(measure), len(set(persons)))


def agreements(
    measures: Mapping[str, np.ndarray],
    truth: np.ndarray,
    persons: Sequence[Any],
    truth_persons: Sequence[Any] | None = None,
    *,
    higher_is_better: Mapping[str, bool],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """One row per measure, in the order given: ``measure`` and the fields of ``Agreement``."""
    rows = [
        {"measure": name}
        | asdict(
            agreement(
                values,
                truth,
                persons,
                truth_persons,
                higher_is_better=higher_is_better[name],
                resamples=resamples,
                seed=seed,
            )
        )
        for name, values in measures.items()
    ]
    return pd.DataFrame(rows)


def _means(values: np.ndarray, draws: Resamples, rows: slice) -> np.ndarray:
    """Means (R, M) over each draw; NaN where none of the images was drawn."""
    counts = draws.sums(np.ones((len(values), 1)), rows)
    centre = values.mean(axis=0)  # draws are summed in float32: take the large part away first
    with np.errstate(invalid="ignore", divide="ignore"):
        return draws.sums(values - centre, rows) / counts + centre


def tau_b(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of many pairs of rankings at once.

    ``scipy.stats.kendalltau`` takes one pair and 2 ms for it, most of them to test it.

    Parameters
    ----------
    one, other : values (..., M); those of one ranking lie in the last axis.

    Returns
    -------
    np.ndarray (...) in [-1, 1]; NaN where a value is NaN, or where a ranking is all ties.

    >>> tau_b(np.array([[1, 2, 3], [1, 2, 2], [1, 1, 1]]), np.array([3, 2, 1])).round(3)
    array([-1.   , -0.816,    nan])
    """
    first, second = (
        np.sign(values[..., :, None] - values[..., None, :])
        for values in (np.asarray(one, dtype=float), np.asarray(other, dtype=float))
    )
    agreed, untied, others_untied = (
        product.sum(axis=(-2, -1)) for product in (first * second, first**2, second**2)
    )
    with np.errstate(invalid="ignore"):
        return agreed / np.sqrt(untied * others_untied)
