# SPDX-License-Identifier: Apache-2.0
"""Paired tests against scipy, all sign flips, closed formulas and repeated images."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples
from facetell.metrics.paired_tests import compare, delong, holm, in_words, matrix, mcnemar


@pytest.mark.parametrize(("b", "c"), [(10, 3), (4, 4), (0, 6), (40, 75), (1, 0), (400, 300)])
def test_mcnemar_of_single_images_is_the_exact_binomial_test(b, c):
    differences = np.repeat([1, -1, 0], [b, c, 9])
    assert mcnemar(differences) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    "differences", [[2, -1, 3, 1, 1], [2, 2, -2, 1], [5, -5], [3], [0, 0], [4, 1, 1, -2, 1, 3, 2]]
)
def test_mcnemar_of_persons_is_the_share_of_sign_flips(differences):
    flips = product([1, -1], repeat=len(differences))
    sums = [abs(np.dot(differences, signs)) for signs in flips]
    share = np.mean(np.array(sums) >= abs(sum(differences)))
    assert mcnemar(np.array(differences)) == pytest.approx(share, abs=1e-12)


def pair(n=120, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    common = random.normal(size=n)
    margins = [labels * s + 0.7 * common + random.normal(size=n) for s in (1.5, 1.0)]
    return labels, np.stack(margins)


def test_delong_is_the_published_formula():
    labels, margins = pair()
    margins[1] = margins[1].round(1)  # ties
    areas, covariance = delong(labels, margins)
    assert areas == pytest.approx([roc_auc_score(labels, m) for m in margins], abs=1e-12)
    fakes, reals = margins[:, labels == 1], margins[:, labels == 0]
    above = (fakes[:, :, None] > reals[:, None]) + 0.5 * (fakes[:, :, None] == reals[:, None])
    expected = np.cov(above.mean(2)) / fakes.shape[1] + np.cov(above.mean(1)) / reals.shape[1]
    assert covariance == pytest.approx(expected, abs=1e-12)


def test_delong_by_hand():
    # two fakes (1, 3) and two reals (0, 2): three of four pairs are in order
    areas, covariance = delong(np.array([1, 1, 0, 0]), np.array([[1.0, 3.0, 0.0, 2.0]]))
    assert areas[0] == 0.75
    assert covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)
    with pytest.raises(ValueError, match="at least two groups"):
        delong(np.array([1, 0, 0]), np.zeros((1, 3)))


def test_delong_counts_copies_once():
    labels, margins = pair()
    areas, covariance = delong(labels, margins)
    groups = np.repeat(np.arange(120), 3)
    again = delong(np.repeat(labels, 3), np.repeat(margins, 3, axis=1), groups)
    assert again[0] == pytest.approx(areas)
    assert again[1] == pytest.approx(covariance)


def test_variance_of_persons_with_both_classes_agrees_with_the_bootstrap():
    random = np.random.default_rng(3)
    person = np.repeat(np.arange(300), 4)
    labels = np.tile([0, 0, 1, 1], 300)
    margins = labels + random.normal(size=300)[person] + 0.5 * random.normal(size=1200)
    _, covariance = delong(labels, margins[None], person)
    drawn = evaluate(labels, margins, 0.0, Resamples(person, seed=1)).draws["auc"]
    assert covariance[0, 0] ** 0.5 == pytest.approx(drawn.std(), rel=0.08)
    _, naive = delong(labels, margins[None])
    assert naive[0, 0] > 1.7 * covariance[0, 0]  # a person's level is common to both classes


def test_holm_by_hand():
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])).max() == 1.0


def compared(n=2000):
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, n)
    common = random.normal(size=n)
    margins = {
        name: labels * s + 0.7 * common + 0.5 * random.normal(size=n)
        for name, s in (("good", 2.0), ("bad", 0.8), ("also", 2.0))
    }
    draws = Resamples(np.arange(n))
    return labels, margins, compare(labels, margins, dict.fromkeys(margins, 0.5), draws)


def test_every_pair_is_compared():
    labels, margins, table = compared()
    assert list(zip(table["a"], table["b"], strict=True)) == [
        ("good", "bad"), ("good", "also"), ("bad", "also")
    ]  # fmt: skip
    first, same, _ = table.to_dict("records")
    right = {name: (m >= 0.5) == (labels == 1) for name, m in margins.items()}
    assert first["only_a_right"] == (right["good"] & ~right["bad"]).sum()
    b, c = first["only_a_right"], first["only_b_right"]
    assert first["mcnemar_p"] == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-6)
    assert first["accuracy_difference"] == pytest.approx((b - c) / 2000)
    assert first["accuracy_low"] < first["accuracy_difference"] < first["accuracy_high"]
    half = (first["auc_high"] - first["auc_low"]) / 2
    assert first["delong_z"] == pytest.approx(first["auc_difference"] / half * norm.ppf(0.975))
    assert first["delong_p"] == pytest.approx(2 * norm.sf(abs(first["delong_z"])))
    assert first["mcnemar_holm"] < 0.001
    assert same["mcnemar_holm"] > 0.05
    square = matrix(table, "auc_difference", -1)
    assert square.loc["bad", "good"] == -first["auc_difference"]
    assert square.isna().sum().sum() == 3


def test_sentences_name_the_better_one():
    _, _, table = compared()
    said = in_words(table, "good")
    assert said[0].startswith("`good` beats `bad` by ")
    assert "points of accuracy [" in said[0]
    assert "do not differ significantly in accuracy: " in said[1]
    assert said[2].startswith("`also` beats `bad` by ")
    number = float(said[2].split(" by ")[1].split(" percentage points")[0])
    assert number == pytest.approx(-100 * table["accuracy_difference"][2], abs=0.06)
    assert "AUC +" in said[2]


def test_many_models_are_put_into_words_by_the_headline_alone():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 100)
    margins = {f"m{k}": random.normal(size=100) for k in range(6)}
    table = compare(labels, margins, dict.fromkeys(margins, 0.0), Resamples(np.arange(100)))
    assert len(table) == 15
    assert len(in_words(table, "m2")) == 5
    assert all("`m2`" in sentence for sentence in in_words(table, "m2"))


def test_equal_detectors_and_one_class():
    labels = np.array([0, 1, 0, 1])
    margins = {"a": np.array([0.0, 1.0, 2.0, 3.0]), "b": np.array([0.0, 1.0, 2.0, 3.0])}
    found = compare(labels, margins, {"a": 0.5, "b": 0.5}, Resamples(np.arange(4))).iloc[0]
    assert (found["mcnemar_p"], found["delong_p"], found["auc_difference"]) == (1.0, 1.0, 0.0)
    alone = compare(np.ones(4), margins, {"a": 0.5, "b": 0.5}, Resamples(np.arange(4)))
    assert "delong_p" not in alone
    assert len(compare(labels, {"a": margins["a"]}, {"a": 0.5}, Resamples(np.arange(4)))) == 0
