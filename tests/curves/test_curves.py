# SPDX-License-Identifier: Apache-2.0
"""Curves against scikit-learn, hand-worked cases, and images that really are repeated."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from support import ROOT

import facetell.curves
from facetell.common.errors import UserError
from facetell.curves import (
    DetCurve,
    PrecisionRecallCurve,
    ReliabilityDiagram,
    RocCurve,
    ScoreHistogram,
    curves_of,
)
from facetell.curves.over_thresholds import POINTS, RATES
from facetell.metrics.calibration import BINS
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples, wilson
from facetell.metrics.scored import Scored

RANKED = (RocCurve, DetCurve, PrecisionRecallCurve)
ALL = (*RANKED, ScoreHistogram, ReliabilityDiagram)


def cases():
    random = np.random.default_rng(3)
    for number, digits in ((30, 8), (400, 1), (400, 8)):
        labels = random.integers(0, 2, number)
        yield labels, (labels * 1.2 + random.normal(size=number)).round(digits)
    yield np.arange(10) % 2, np.zeros(10)  # constant scores


@pytest.mark.parametrize(("labels", "margins"), cases())
def test_agreement_with_scikit_learn(labels, margins):
    same = {"rtol": 0, "atol": 1e-12}
    roc = RocCurve.from_predictions(labels, margins)
    fpr, tpr, cuts = sk.roc_curve(labels, margins, drop_intermediate=False)
    for ours, theirs in ((roc.fpr, fpr), (roc.tpr, tpr), (roc.thresholds, cuts)):
        np.testing.assert_allclose(ours, theirs, **same)
    assert roc.auc == pytest.approx(sk.roc_auc_score(labels, margins), abs=1e-12)
    det = DetCurve.from_predictions(labels, margins)
    fpr, fnr, cuts = (part[::-1] for part in sk.det_curve(labels, margins))
    # theirs starts at the last FPR of 0 and stops at the first FNR of 0
    part = slice(np.flatnonzero(det.fpr == 0)[-1], np.flatnonzero(det.fnr == 0)[0] + 1)
    for ours, theirs in ((det.fpr, fpr), (det.fnr, fnr), (det.thresholds, cuts)):
        np.testing.assert_allclose(ours[part], theirs, **same)
    curve = PrecisionRecallCurve.from_predictions(labels, margins)
    precision, recall, cuts = sk.precision_recall_curve(labels, margins)
    np.testing.assert_allclose(curve.precision[::-1], precision, **same)
    np.testing.assert_allclose(curve.recall[::-1], recall, **same)
    np.testing.assert_allclose(curve.thresholds[:0:-1], cuts, **same)
    assert curve.ap == pytest.approx(sk.average_precision_score(labels, margins), abs=1e-12)
    diagram = ReliabilityDiagram.from_predictions(labels, margins)
    observed, predicted = calibration_curve(labels, expit(margins), n_bins=BINS)
    frame = diagram.to_frame()
    np.testing.assert_allclose(frame["observed"], observed, **same)
    np.testing.assert_allclose(frame["predicted"], predicted, **same)
    assert frame["count"].sum() == len(labels)


@pytest.mark.parametrize(("labels", "margins"), cases())
def test_numbers_and_intervals_are_those_of_the_metrics(labels, margins):
    groups = np.arange(len(labels)) // 2
    found = evaluate(labels, margins, 0.0, Resamples(groups, resamples=60, seed=5))
    asked = {"groups": groups, "resamples": 60, "seed": 5}
    for kind, name in zip((*RANKED, ReliabilityDiagram), ("auc", "eer", "ap", "ece"), strict=True):
        curve = kind.from_predictions(labels, margins, **asked)
        assert getattr(curve, name) == pytest.approx(found.values[name], abs=1e-12)
        assert getattr(curve, f"{name}_interval") == pytest.approx(found.intervals[name], abs=1e-6)


def test_the_real_score_is_the_other_curve_of_the_same_verdicts():
    labels = np.array([0, 0, 0, 1, 1])
    margins = np.array([-1.0, 0.5, 1.0, 0.5, 2.0])
    fake, real = (
        RocCurve.from_predictions(labels, margins, threshold=0.5, positive=positive)
        for positive in ("fake", "real")
    )
    # at the threshold is fake: two reals and both fakes
    assert fake.point == (pytest.approx(2 / 3), 1.0)
    assert real.point == (0.0, pytest.approx(1 / 3))
    assert fake.auc == pytest.approx(real.auc)
    np.testing.assert_allclose(real.fpr, 1 - fake.tpr[::-1])
    np.testing.assert_allclose(real.tpr, 1 - fake.fpr[::-1])
    found = PrecisionRecallCurve.from_predictions(labels, margins, threshold=0.5)
    assert found.point == (1.0, 0.5)
    assert found.chance == 0.4
    assert DetCurve.from_predictions(labels, margins, threshold=0.5).point.y == 0.0
    none = PrecisionRecallCurve.from_predictions(labels, margins, threshold=9)
    assert none.point is None


def test_bands_are_of_curves_whose_images_are_really_repeated():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 60)
    margins = (labels + random.normal(size=60)).round(1)
    draws = Resamples(np.arange(60) % 25, resamples=40, seed=2)
    weights = np.concatenate(list(draws.weights()), axis=1).astype(int)
    heights, precisions = [], []
    for draw in range(40):
        rows = np.repeat(np.arange(60), weights[:, draw])
        again = RocCurve.from_predictions(labels[rows], margins[rows])
        # the highest TPR at an FPR; between thresholds on the straight line
        heights.append([np.interp(rate, again.fpr, again.tpr) for rate in RATES])
        curve = PrecisionRecallCurve.from_predictions(labels[rows], margins[rows])
        reach = [np.flatnonzero(curve.recall >= level - 1e-9)[0] for level in (0.25, 0.5, 1)]
        precisions.append(curve.precision[reach])
    band = RocCurve.from_predictions(labels, margins, groups=draws).band
    expected = np.percentile(heights, [2.5, 97.5], axis=0)
    np.testing.assert_allclose([band.low, band.high], expected, atol=1e-6)
    band = DetCurve.from_predictions(labels, margins, groups=draws).band
    np.testing.assert_allclose([band.high, band.low], 1 - expected, atol=1e-6)
    band = PrecisionRecallCurve.from_predictions(labels, margins, groups=draws).band
    expected = np.percentile(precisions, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(band.at(np.array([0.25, 0.5, 1])), expected, atol=1e-6)


def test_bands_hold_the_curve_and_copies_do_not_narrow_them():
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 2, 50), 8)
    margins = np.repeat(random.normal(size=50), 8) + labels
    widths = {}
    for name, groups in (("person", np.arange(400) // 8), ("image", np.arange(400))):
        curve = RocCurve.from_predictions(labels, margins, groups=groups, resamples=200)
        low, _ = curve.band.at(curve.fpr)
        assert (low <= curve.tpr + 1e-9)[curve.fpr > 0].all()
        widths[name] = (curve.band.high - curve.band.low).mean()
    # eight copies of one face are one observation: sqrt(8) = 2.8
    assert 1.8 < widths["person"] / widths["image"] < 4


@pytest.mark.parametrize("kind", RANKED)
def test_one_class_alone_has_no_curve(kind):
    with pytest.raises(UserError, match=r"real and fake images, but all 3 are fake"):
        kind.from_predictions([1, 1, 1], [0.0, 1.0, 2.0])


def test_bad_input_is_named():
    with pytest.raises(UserError, match="positive must be real or fake, not 'both'"):
        RocCurve.from_predictions([0, 1], [0.0, 1.0], positive="both")
    with pytest.raises(UserError, match="groups: 3 for 2 images"):
        RocCurve.from_predictions([0, 1], [0.0, 1.0], groups=list("abc"))
    with pytest.raises(UserError, match="at least 2 bins"):
        ScoreHistogram.from_predictions([0, 1], [0.0, 1.0], number=1)
    for kind in ALL:
        with pytest.raises(ValueError, match="NaN"):
            kind.from_predictions([0, 1], [0.0, np.nan])


def test_one_class_and_one_person_have_what_is_defined():
    histogram = ScoreHistogram.from_predictions([1, 1], [0.0, 1.0])
    assert list(histogram.shares) == ["fake"]
    assert ReliabilityDiagram.from_predictions([1, 1], [0.0, 0.0]).ece == 0.5
    alone = RocCurve.from_predictions([0, 0, 1], [0.0, 1.0, 2.0], groups=list("aab"), resamples=9)
    assert alone.auc == 1.0
    draws = Resamples(["a", "b"], resamples=1, seed=0)  # of one class, in this draw
    assert RocCurve.from_predictions([0, 1], [0.0, 1.0], groups=draws).band is None


def test_infinite_margins_are_the_ends_of_the_curve():
    labels, margins = np.array([0, 0, 1, 1]), np.array([-np.inf, np.inf, 0.5, np.inf])
    roc = RocCurve.from_predictions(labels, margins, threshold=0.0)
    assert roc.fpr.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert roc.tpr.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert roc.point == (0.5, 1.0)
    histogram = ScoreHistogram.from_predictions(labels, margins, threshold=0.0, number=5)
    assert histogram.counts["real"].tolist() == [1, 0, 0, 0, 1]
    assert histogram.counts["fake"].tolist() == [0, 0, 0, 0, 2]  # 0.5 is the largest finite one
    diagram = ReliabilityDiagram.from_predictions(labels, margins)
    assert (diagram.counts[0], diagram.counts[-1]) == (1, 2)
    for kind in ALL:
        kind.from_predictions(labels, margins, groups=np.arange(4), resamples=5).plot()
    facetell.common.figure_style.plt.close("all")


def test_bins_have_wilson_intervals():
    labels, margins = np.repeat([0, 1], 40), np.linspace(-3, 3, 80)
    groups = np.arange(80) // 2
    histogram = ScoreHistogram.from_predictions(labels, margins, groups=groups, number=4)
    inside = margins[:40] < -1.5
    expected = wilson(inside, groups[:40])
    assert [histogram.low["real"][0], histogram.high["real"][0]] == pytest.approx(expected)
    diagram = ReliabilityDiagram.from_predictions(labels, margins, groups=groups, resamples=20)
    middle = np.abs(expit(margins) - 0.5) <= 0.5 / BINS
    expected = wilson(labels[middle] == 1, groups[middle])
    assert [diagram.low[7], diagram.high[7]] == pytest.approx(expected)


def test_frames_are_thin_and_lie_on_the_curve():
    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 5000)
    margins = labels + random.normal(size=5000)
    draws = Resamples(np.arange(5000), resamples=5)
    for kind in RANKED:
        curve = kind.from_predictions(labels, margins, groups=draws)
        frame = curve.to_frame()
        assert 100 < len(frame) <= POINTS
        x, y = frame.columns[:2]
        on_it = set(zip(getattr(curve, x), getattr(curve, y), strict=True))
        assert set(zip(frame[x], frame[y], strict=True)) <= on_it
        assert {f"{y}_low", f"{y}_high"} <= set(frame)
    few = RocCurve.from_predictions([0] * 9 + [1] * 9, np.arange(18.0)).to_frame()
    assert few.to_numpy().tolist() == [[0, 0], [0, 1], [1, 1]]  # corners only


def test_curves_of_several_models_are_tables_by_model():
    random = np.random.default_rng(6)
    labels = np.arange(40) % 2
    margins = {name: labels + random.normal(size=40) for name in ("b", "a")}
    draws = Resamples(np.arange(40), resamples=10)
    thresholds, temperatures = dict.fromkeys("ba", 0.5), {"b": 2.0, "a": 1.0}
    found = curves_of(labels, margins, thresholds, temperatures, draws)
    frames = found.frames()
    assert list(frames["roc"]["model"].unique()) == ["b", "a"]
    assert list(frames["roc"].columns[:5]) == ["model", "score", "point", "fpr", "tpr"]
    assert list(frames["det"].columns[:4]) == ["model", "point", "fpr", "fnr"]
    assert set(frames["pr"]["score"]) == {"fake", "real"}
    assert set(frames["reliability"]["scores"]) == {"as trained", "scaled"}
    half = ReliabilityDiagram.from_predictions(labels, margins["b"] / 2)
    assert found.after["b"].ece == half.ece != found.before["b"].ece
    for curve in (found.roc["fake"]["a"], found.det["a"]):
        assert curve.point.x == pytest.approx((margins["a"] >= 0.5)[labels == 0].mean())
    ones = {"a": margins["a"][labels == 1]}
    alone = curves_of(np.ones(20), ones, {"a": 0.5}, {"a": 1.0}, Resamples(np.arange(20)))
    frames = alone.frames()
    assert list(frames["roc"]) == ["model", "score", "point", "fpr", "tpr"]
    assert [len(frames[name]) for name in ("roc", "det", "pr")] == [0, 0, 0]
    assert set(frames["scores"]["class"]) == {"fake"}


def test_a_curve_of_put_together_images_is_the_same():
    labels, margins = np.arange(20) % 2, np.random.default_rng(0).normal(size=20)
    draws = Resamples(np.arange(20) // 2, resamples=10, seed=3)
    scored = Scored(labels, margins, 0.25, draws)
    asked = {"threshold": 0.25, "groups": np.arange(20) // 2, "resamples": 10, "seed": 3}
    for kind in ALL:
        found = kind.from_scored(scored, name="m").to_frame()
        expected = kind.from_predictions(labels, margins, **asked, name="m").to_frame()
        assert found.equals(expected)
    turned = RocCurve.from_scored(scored, positive="real")
    expected = RocCurve.from_predictions(labels, margins, threshold=0.25, positive="real")
    assert (turned.auc, turned.point) == (expected.auc, expected.point)


def test_an_option_that_a_curve_does_not_have_is_refused():
    for kind in (DetCurve, ScoreHistogram, ReliabilityDiagram):
        with pytest.raises(TypeError, match="positive"):
            kind.from_predictions([0, 1], [0.0, 1.0], positive="real")


def test_the_examples_run():
    ran = doctest.testmod(facetell.curves)
    assert ran.attempted >= 7
    assert ran.failed == 0


def test_computing_needs_no_matplotlib():
    code = (
        "import sys; from facetell.curves import RocCurve; "
        "RocCurve.from_predictions([0, 1], [0.0, 1.0], groups=['a', 'b']); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    env = {"PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
