# SPDX-License-Identifier: Apache-2.0
"""Bounds of many means at once: how often any is wrong, and what can be said by hand."""

import numpy as np
import pytest
from scipy.stats import t

from facetell.common.errors import UserError
from facetell.metrics.simultaneous import TAIL, Means


def null(random: np.random.Generator, persons: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Skewed numbers with mean 0, alike within a person and between columns; one or two images of
    each."""
    names = np.repeat(np.arange(persons), random.integers(1, 3, persons))
    shared = random.normal(size=(persons, 1)) + random.normal(size=(persons, number))
    return np.exp(0.4 * shared / np.sqrt(2))[names] - np.exp(0.08), names


def test_the_family_wise_error_is_kept_where_single_bounds_break_it():
    random, runs = np.random.default_rng(0), 120
    wrong = {True: 0, False: 0}
    for _ in range(runs):
        values, names = null(random, persons=20, number=25)
        means = Means(-values, names, resamples=200, seed=0)  # a long tail below: the harder side
        for together in wrong:
            wrong[together] += bool((means.lower(together=together) > 0).any())
    assert wrong[True] / runs <= 0.06  # 0.025 plus three standard errors of 120 runs
    assert wrong[False] / runs > 0.12


def test_one_mean_of_independent_normal_images_has_students_bound():
    half = np.random.default_rng(1).normal(size=(15, 1))
    values = 0.3 + np.concatenate([half, -half])  # not skewed
    means = Means(values, np.arange(30), resamples=5_000, seed=0)
    error = values.std(ddof=1) / np.sqrt(30)
    assert means.error[0] == pytest.approx(error)
    expected = values.mean() + t.ppf(TAIL, 29) * error
    assert means.lower()[0] == pytest.approx(expected, abs=0.25 * error)
    assert means.lower()[0] == means.lower(together=False)[0]
    assert means.p()[0] == pytest.approx(2 * t.sf(values.mean() / error, 29), rel=0.5)


def test_a_copied_mean_costs_nothing_and_other_means_do():
    random = np.random.default_rng(2)
    values = random.normal(0.5, 1, (25, 1))
    alone = Means(values, np.arange(25), seed=0)
    copied = Means(np.repeat(values, 9, axis=1), np.arange(25), seed=0)
    other = Means(np.column_stack([values, random.normal(size=(25, 40))]), np.arange(25), seed=0)
    np.testing.assert_allclose(copied.lower(), np.repeat(alone.lower(), 9))
    assert other.lower()[0] < alone.lower()[0]
    assert other.p()[0] > alone.p()[0]


def test_images_of_one_person_count_as_one():
    values = np.random.default_rng(3).normal(0.5, 1, (12, 2))
    once = Means(values, np.arange(12), seed=0)
    many = Means(np.repeat(values, 7, axis=0), np.repeat(np.arange(12), 7), seed=0)
    np.testing.assert_allclose(many.error, once.error)
    np.testing.assert_allclose(many.lower(), once.lower(), rtol=1e-5)


def test_what_never_varies_is_certain_and_one_person_says_nothing():
    constant = Means(np.full((9, 1), 0.4), np.arange(9), resamples=50)
    assert constant.lower()[0] == 0.4
    assert constant.p()[0] == pytest.approx(1 / 51)
    assert Means(np.zeros((9, 1)), np.arange(9), resamples=50).p()[0] == 1
    single = Means(np.random.default_rng(4).random((9, 2)), ["ann"] * 9, resamples=50)
    assert (single.lower() == -np.inf).all()
    assert (single.p() == 1).all()


def test_one_that_differs_among_many_that_do_not_leaves_bounds_finite():
    values = np.ones((12, 1))
    values[3] = 0.8
    bound = Means(values, np.arange(12), resamples=200).lower()[0]
    assert 0.9 < bound < values.mean()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="needs its person"):
        Means(np.ones((3, 1)), [1, 2])
    with pytest.raises(UserError, match="finite"):
        Means(np.array([[np.nan], [1.0]]), [1, 2])
