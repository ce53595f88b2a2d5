# SPDX-License-Identifier: Apache-2.0
"""Kendall's tau of two rankings of maps: known orders, direction, intervals, pairing."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from facetell.common.errors import UserError
from facetell.explain.trust import agreement as measured

DRAWS = {"resamples": 1000, "seed": 0}

QUALITY = np.linspace(0, 1, 8)


def agreement(measure, truth, *persons, higher_is_better=True) -> measured.Agreement:
    return measured.agreement(measure, truth, *persons, higher_is_better=higher_is_better, **DRAWS)


def values(noise: float, seed: int, count: int = 60) -> np.ndarray:
    return QUALITY + np.random.default_rng(seed).normal(0, noise, (count, 8))


def test_the_same_order_is_1_the_reverse_minus_1():
    truth = values(0.01, 0)
    same = agreement(2 * truth + 1, truth, range(60))
    assert (same.tau, same.low, same.high) == pytest.approx((1, 1, 1))
    assert (same.maps, same.n, same.persons) == (8, 60, 60)
    assert agreement(-truth, truth, range(60)).tau == pytest.approx(-1)
    assert agreement(-truth, truth, range(60), higher_is_better=False).tau == pytest.approx(1)


def test_tau_counts_pairs():
    """One neighbouring pair exchanged among 8 maps: 27 pairs agree, 1 does not."""
    exchanged = QUALITY.copy()
    exchanged[[2, 3]] = exchanged[[3, 2]]
    found = agreement(np.tile(exchanged, (5, 1)), np.tile(QUALITY, (5, 1)), range(5))
    assert found.tau == pytest.approx(26 / 28)


def test_tau_with_ties_is_scipys():
    random = np.random.default_rng(4)
    one, other = (random.integers(0, 4, (50, 6)) for _ in range(2))
    wanted = [kendalltau(*rows).statistic for rows in zip(one, other, strict=True)]
    np.testing.assert_allclose(measured.tau_b(one, other), wanted, atol=1e-12)
    assert np.isnan(measured.tau_b(np.array([1, np.nan, 2]), np.arange(3)))


def test_noise_widens_the_interval_and_unrelated_measures_have_zero_within():
    truth = values(0.05, 0)
    clear, noisy = (agreement(values(noise, 1), truth, range(60)) for noise in (0.2, 3.0))
    assert clear.high - clear.low < noisy.high - noisy.low
    assert clear.low > 0.7
    unrelated = np.random.default_rng(3).normal(size=(60, 8))
    nothing = agreement(unrelated, truth, range(60))
    assert nothing.low < 0 < nothing.high


def test_persons_are_drawn_together_for_both():
    """Measure and truth share each image's noise, so pairing keeps their orders alike."""
    shared = values(2.0, 5)
    paired = agreement(shared, shared, range(60))
    apart = agreement(shared, shared, range(60), range(100, 160))
    assert (paired.low, paired.high) == pytest.approx((1, 1))
    assert apart.low < 1


def test_table_has_a_row_per_measure():
    truth = values(0.05, 0)
    table = measured.agreements(
        {"insertion": truth, "deletion": -truth},
        truth,
        range(60),
        higher_is_better={"insertion": True, "deletion": False},
        **DRAWS,
    )
    assert table["measure"].tolist() == ["insertion", "deletion"]
    assert table["tau"].to_numpy() == pytest.approx(np.ones(2))
    assert list(table) == ["measure", "tau", "low", "high", "maps", "n", "persons"]


def test_ties_of_all_maps_are_undefined_and_bad_shapes_refused():
    assert np.isnan(agreement(np.ones((60, 8)), values(0.1, 0), range(60)).tau)
    with pytest.raises(UserError, match="different maps"):
        agreement(np.ones((60, 7)), values(0.1, 0), range(60))
    with pytest.raises(UserError, match="person"):
        agreement(values(0.1, 1), values(0.1, 0), range(59))
    with pytest.raises(UserError, match="two maps"):
        agreement(np.full((60, 8), np.nan), values(0.1, 0), range(60))
