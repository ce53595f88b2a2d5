# SPDX-License-Identifier: Apache-2.0
"""Numbers against hand-worked cases, scikit-learn, scipy, and images that really are repeated."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from facetell.common.errors import UserError
from facetell.metrics.calibration import BINS, temperature
from facetell.metrics.evaluate import RATES, evaluate
from facetell.metrics.intervals import Resamples, interval, once, pivotal, wilson
from facetell.metrics.losses import log_loss
from facetell.metrics.ranking import Ranking, auc, best_threshold


def cases():
    random = np.random.default_rng(3)
    for n, ties in ((30, False), (400, True), (400, False)):
        labels = random.integers(0, 2, n)
        margins = labels * 1.2 + random.normal(size=n)
        yield labels, margins.round(1) if ties else margins


def score(margins):
    return 1 / (1 + np.exp(-margins))


@pytest.mark.parametrize(("labels", "margins"), cases())
def test_agreement_with_scikit_learn(labels, margins):
    found = evaluate(labels, margins, 0.4).values
    verdicts, fake = margins >= 0.4, score(margins)
    expected = {
        "auc": sk.roc_auc_score(labels, margins),
        "ap": sk.average_precision_score(labels, margins),
        "f1": sk.f1_score(labels, verdicts),
        "accuracy": sk.accuracy_score(labels, verdicts),
        "accuracy_real": sk.recall_score(labels, verdicts, pos_label=0),
        "accuracy_fake": sk.recall_score(labels, verdicts),
        "brier": sk.brier_score_loss(labels, fake),
        "log_loss": sk.log_loss(labels, fake),
    }
    observed, predicted = calibration_curve(labels, fake, n_bins=BINS, strategy="uniform")
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], fake)
    sizes = np.bincount(bins, minlength=BINS)
    expected["ece"] = (np.abs(observed - predicted) * sizes[sizes > 0]).sum() / len(labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    fpr, tpr, _ = sk.roc_curve(labels, margins, drop_intermediate=False)
    np.testing.assert_allclose(Ranking(labels, margins).rates(), [fpr, tpr], atol=1e-12)
    assert auc(labels, margins) == pytest.approx(expected["auc"], abs=1e-12)
    assert log_loss(labels, margins) == pytest.approx(expected["log_loss"], abs=1e-12)


def test_hand_worked_case():
    #          real  real  fake  real  fake
    labels = [0, 0, 1, 0, 1]
    margins = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = evaluate(labels, margins, 0.5).values
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["ap"] == pytest.approx((1 + 2 / 3) / 2)
    # the ROC goes (0,0) (0,.5) (1/3,.5) (1/3,1) (1,1): FPR meets FNR at 1/3
    assert found["eer"] == pytest.approx(1 / 3)
    assert (found["n"], found["n_real"], found["n_fake"]) == (5, 3, 2)
    assert found["threshold"] == pytest.approx(score(0.5))


def biometric():
    """200 real images and two generators of 150 and 120, with margins on a grid."""
    reals = np.arange(200) / 100 - 1.5  # -1.50 to 0.49
    first, second = np.arange(150) / 100 - 0.5, np.arange(120) / 100 - 0.3
    labels = np.repeat([0, 1], [200, 270])
    generators = np.repeat(["", "a", "b"], [200, 150, 120])
    return labels, np.concatenate([reals, first, second]).round(2) + 1e-9, generators


def test_operating_points_by_hand():
    labels, margins, generators = biometric()
    found = evaluate(labels, margins, 0.0, generators=generators)
    # 50 of 200 reals lie at or above 0; 50 of 150 and 30 of 120 fakes below
    assert found.values["bpcer"] == pytest.approx(50 / 200)
    assert found.values["apcer"] == pytest.approx(50 / 150)
    assert found.values["acer"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    # at 5%, 7 fakes of a may pass and 6 of b: a's threshold -0.43 is the lower, 93 reals are above
    assert found.values["bpcer_at_apcer_5pct"] == pytest.approx(93 / 200)
    # at 1%, one of each: -0.49
    assert found.values["bpcer_at_apcer_1pct"] == pytest.approx(99 / 200)
    # an FPR of 1% allows two reals: 0.48 and 0.49, where 52 + 42 fakes lie at or above 0.48
    assert found.values["tpr_at_fpr_1pct"] == pytest.approx((52 + 42) / 270)
    assert "tpr_at_fpr_01pct" not in found.values
    assert found.left_out == {"tpr_at_fpr_01pct": "200 real images; 1,000 are needed"}


def test_numbers_that_need_more_images_are_omitted_with_the_reason():
    labels, margins, generators = biometric()
    kept = np.r_[0:90, 200:470]
    generators[-15:] = "c"
    found = evaluate(labels[kept], margins[kept], 0.0, generators=generators[kept])
    assert found.left_out == {
        "tpr_at_fpr_1pct": "90 real images; 100 are needed",
        "tpr_at_fpr_01pct": "90 real images; 1,000 are needed",
        "bpcer_at_apcer_5pct": "15 fakes of c; 20 are needed",
        "bpcer_at_apcer_1pct": "15 fakes of c; 100 are needed",
    }
    assert not set(found.left_out) & set(found.values)


def test_degenerate_inputs():
    assert auc([0, 1, 0, 1], [0.0] * 4) == 0.5
    constant = evaluate([0, 1], [0.0, 0.0], 0.0, generators=["", "g"]).values
    assert (constant["auc"], constant["eer"], constant["ap"]) == (0.5, 0.5, 0.5)
    one_class = evaluate([1, 1], [0.3, -0.3], 0.0, Resamples(["a", "b"], resamples=20))
    assert not {"auc", "ap", "eer", "accuracy_real"} & set(one_class.values)
    assert one_class.values["accuracy_fake"] == 0.5
    alone = evaluate([1, 1], [0.3, -0.3], 0.0, generators=["g", "g"])
    assert alone.left_out == {"auc": "all images are fake: there is nothing to tell apart"}
    infinite = evaluate([0, 1, 1], [-np.inf, np.inf, 0.0], 0.0).values
    assert (infinite["auc"], infinite["eer"], infinite["ap"]) == (1.0, 0.0, 1.0)
    assert infinite["log_loss"] == pytest.approx(np.log(2) / 3)
    wrong = evaluate([0, 1, 1, 0], [np.inf, np.inf, 0.0, -1.0], 0.0, Resamples(list("abcd")))
    assert "log_loss" not in wrong.values
    assert wrong.left_out == {"log_loss": "an infinite margin is on the wrong side"}
    json.dumps(wrong.numbers(), allow_nan=False)
    for labels, margins in (([0, 1], [np.nan, 1.0]), ([0, 2], [0.0, 1.0]), ([], []), ([1], [1, 2])):
        with pytest.raises(ValueError, match="must"):
            evaluate(labels, margins, 0.0)


@pytest.mark.parametrize("level", [0.01, 0.001])
def test_tpr_never_uses_more_fpr_than_allowed(level):
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 4000)
    margins = (labels + random.normal(size=4000)).round(2)
    fpr, tpr = Ranking(labels, margins).rates()
    found = evaluate(labels, margins, 0.0, generators=np.full(4000, "g")).values
    name = {0.01: "tpr_at_fpr_1pct", 0.001: "tpr_at_fpr_01pct"}[level]
    assert found[name] == max(t for f, t in zip(fpr, tpr, strict=True) if f <= level)


def test_equal_error_rate_lies_on_both_rates():
    labels, margins = list(cases())[2]
    fpr, tpr = Ranking(labels, margins).rates()
    found = evaluate(labels, margins, 0.0).values["eer"]
    assert np.interp(found, fpr, tpr) == pytest.approx(1 - found, abs=0.01)


def test_threshold_is_the_best_balanced_one_and_between_images():
    labels = np.array([0, 0, 0, 0, 1, 1])
    margins = np.array([-3.0, -1.0, 2.0, 5.0, 4.0, 6.0])
    chosen = best_threshold(labels, margins)
    assert chosen == pytest.approx(3.0)
    assert best_threshold(labels, np.zeros(6)) in (-1.0, 1.0)
    assert best_threshold([0, 1], [-5.0, 1.0]) == -2.0
    with pytest.raises(UserError, match="all 2 are of one class"):
        best_threshold([1, 1], [-5.0, 1.0])


def test_a_draw_is_the_number_of_images_that_are_really_repeated():
    """The resampled numbers come from weights; here the images themselves are drawn."""
    labels, margins, generators = biometric()
    margins = margins.round(1)  # ties as well
    person = np.arange(len(labels)) % 90
    draws = Resamples(person, resamples=7, seed=4)
    found = evaluate(labels, margins, 0.05, draws, generators=generators)
    weights = np.concatenate(list(draws.weights()), axis=1).astype(int)
    assert {"auc", "ap", "eer", "apcer", "ece", "bpcer_at_apcer_1pct"} <= set(found.draws)
    for draw in range(7):
        rows = np.repeat(np.arange(len(labels)), weights[:, draw])
        again = evaluate(labels[rows], margins[rows], 0.05, generators=generators[rows])
        expected = {name: again.values[name] for name in found.draws}
        drawn = {name: values[draw] for name, values in found.draws.items()}
        assert drawn == pytest.approx(expected, abs=2e-6), draw


def test_draws_are_of_whole_persons_and_the_same_for_a_part():
    person = np.array(list("aabbbc"))
    draws = Resamples(person, resamples=200, seed=1)
    weights = np.concatenate(list(draws.weights()), axis=1)
    assert (weights[0] == weights[1]).all()
    assert (weights[2] == weights[4]).all()
    assert ((weights[0] + weights[2] + weights[5]) == 3).all()
    part = np.concatenate(list(draws.weights(np.array([5, 2]))), axis=1)
    assert (part == weights[[5, 2]]).all()
    values = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(draws.sums(values), weights.T @ values, rtol=1e-6)
    assert (once(6).sums(values) == values.sum(axis=0)).all()


def test_intervals_take_persons_for_observations():
    random = np.random.default_rng(0)
    people, copies = 60, 10
    person = np.repeat(np.arange(people), copies)
    labels = np.repeat(random.integers(0, 2, people), copies)
    margins = np.repeat(random.normal(size=people), copies) + labels
    by_person = evaluate(labels, margins, 0.5, Resamples(person, resamples=300))
    by_image = evaluate(labels, margins, 0.5, Resamples(np.arange(600), resamples=300))
    for name in ("accuracy", "auc", "ap", "eer", "brier"):
        width, narrow = (np.ptp(found.intervals[name]) for found in (by_person, by_image))
        # ten copies of one face are one observation: sqrt(10) = 3.2
        assert 2.2 < width / narrow < 4.5
        low, high = by_person.intervals[name]
        assert low < by_person.values[name] < high
    assert set(by_person.intervals) == set(by_person.draws)
    again = evaluate(labels, margins, 0.5, Resamples(person, resamples=300))
    assert by_person.intervals == again.intervals


@pytest.mark.parametrize(("right", "n"), [(0, 12), (7, 9), (95, 100), (100, 100)])
def test_wilson_of_single_images_is_scipys(right, n):
    found = wilson(np.arange(n) < right, np.arange(n))
    theirs = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx([theirs.low, theirs.high], abs=1e-12)


def test_wilson_counts_copies_once():
    right = np.random.default_rng(2).random(80) < 0.7
    alone = wilson(right, np.arange(80))
    assert wilson(np.repeat(right, 5), np.repeat(np.arange(80), 5)) == pytest.approx(alone)
    assert wilson(np.ones(50, dtype=bool), np.arange(50) // 5) == pytest.approx(
        wilson(np.ones(10, dtype=bool), np.arange(10))
    )


def test_interval_kinds():
    draws = np.append(np.linspace(0, 1, 1001), np.nan)
    assert interval(draws) == pytest.approx([0.025, 0.975])
    assert pivotal(np.linspace(0.1, 0.3, 1001), 0.15) == pytest.approx([0.005, 0.195])
    assert pivotal(np.linspace(0.1, 0.5, 1001), 0.15)[0] == 0


@pytest.mark.parametrize("scale", [0.4, 3.0])
def test_temperature_undoes_a_scale_and_has_the_least_loss(scale):
    random = np.random.default_rng(1)
    margins = random.normal(size=20_000) * 2
    labels = (random.random(20_000) < score(margins)).astype(int)
    found = temperature(labels, margins * scale)
    assert found == pytest.approx(scale, rel=0.05)

    def loss(log_t):
        return sk.log_loss(labels, score(margins * scale / np.exp(log_t)))

    assert found == pytest.approx(np.exp(minimize_scalar(loss, bounds=(-3, 3)).x), rel=1e-3)
    before, after = (evaluate(labels, m, 0.3).values for m in (margins * scale, margins))
    assert after["ece"] < before["ece"]
    assert after["auc"] == pytest.approx(before["auc"], abs=1e-12)


def test_temperature_of_degenerate_scores_is_finite():
    assert temperature(np.ones(4), np.arange(4.0)) == 1.0
    assert temperature(np.array([0, 1]), np.array([-np.inf, np.inf])) < 0.1
    assert temperature(np.array([0, 1, 0, 1]), np.array([2.0, -2.0, 1.0, -1.0])) > 100


def test_rates_are_named_once():
    labels, margins, generators = biometric()
    found = evaluate(labels, margins, 0.0, Resamples(np.arange(470)), generators=generators)
    low, high = found.intervals["accuracy_real"]
    assert found.intervals["bpcer"] == pytest.approx([1 - high, 1 - low])
    assert set(RATES) <= set(found.intervals)
