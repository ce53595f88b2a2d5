"""Numbers against hand-worked cases and scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from facetell import predictions
from facetell.curves import error_curves
from facetell.errors import UserError
from facetell.metrics import equal_error_rate, evaluate, intervals, tpr_at_fpr
from facetell.ranking import Ranking, auc, best_threshold
from facetell.report import report, robustness, summary
from facetell.scores import model_scores


def cases():
    random = np.random.default_rng(3)
    for n, ties in ((30, False), (400, True), (400, False)):
        labels = random.integers(0, 2, n)
        margins = labels * 1.2 + random.normal(size=n)
        yield labels, margins.round(1) if ties else margins


@pytest.mark.parametrize(("labels", "margins"), cases())
def test_agreement_with_scikit_learn(labels, margins):
    found = evaluate(labels, margins, threshold=0.4)
    verdicts = margins >= 0.4
    assert found["auc"] == pytest.approx(sk.roc_auc_score(labels, margins), abs=1e-12)
    assert found["ap"] == pytest.approx(sk.average_precision_score(labels, margins), abs=1e-12)
    assert found["f1"] == pytest.approx(sk.f1_score(labels, verdicts), abs=1e-12)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, verdicts), abs=1e-12)
    recalls = sk.recall_score(labels, verdicts, average=None)
    assert [found["accuracy_real"], found["accuracy_fake"]] == pytest.approx(recalls, abs=1e-12)
    fpr, tpr, _ = sk.roc_curve(labels, margins, drop_intermediate=False)
    ours = Ranking(labels, margins).rates()
    np.testing.assert_allclose(ours, [fpr, tpr], atol=1e-12)


def test_hand_worked_case():
    #          real  real  fake  real  fake
    labels = [0, 0, 1, 0, 1]
    margins = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = evaluate(labels, margins, threshold=0.5)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["auc"] == pytest.approx(5 / 6)
    assert found["ap"] == pytest.approx((1 + 2 / 3) / 2)
    # the ROC goes (0,0) (0,.5) (1/3,.5) (1/3,1) (1,1): FPR meets FNR at 1/3
    assert found["eer"] == pytest.approx(1 / 3)
    assert found["tpr_at_fpr_1pct"] == pytest.approx(0.5)
    assert (found["n"], found["n_real"], found["n_fake"]) == (5, 3, 2)
    assert found["threshold"] == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_degenerate_inputs():
    assert auc([0, 1, 0, 1], [0.0] * 4) == 0.5
    constant = evaluate([0, 1], [0.0, 0.0], 0.0)
    assert (constant["eer"], constant["tpr_at_fpr_1pct"]) == (0.5, 0.0)
    one_class = evaluate([1, 1], [0.3, -0.3], 0.0)
    assert "auc" not in one_class
    assert "accuracy_real" not in one_class
    assert one_class["accuracy_fake"] == 0.5
    infinite = evaluate([0, 1, 1], [-np.inf, np.inf, 0.0], 0.0)
    assert (infinite["auc"], infinite["eer"]) == (1.0, 0.0)
    with pytest.raises(ValueError, match="NaN"):
        evaluate([0, 1], [np.nan, 1.0], 0.0)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.1, 0.5])
def test_tpr_never_uses_more_fpr_than_allowed(level):
    labels, margins = list(cases())[1]
    fpr, tpr = Ranking(labels, margins).rates()
    found = tpr_at_fpr(fpr, tpr, level)
    assert found == max(t for f, t in zip(fpr, tpr, strict=True) if f <= level)


def test_equal_error_rate_lies_on_both_rates():
    labels, margins = list(cases())[2]
    fpr, tpr = Ranking(labels, margins).rates()
    found = equal_error_rate(fpr, tpr)
    assert np.interp(found, fpr, tpr) == pytest.approx(1 - found, abs=0.01)


def test_threshold_is_the_best_balanced_one_and_between_images():
    labels = np.array([0, 0, 0, 0, 1, 1])
    margins = np.array([-3.0, -1.0, 2.0, 5.0, 4.0, 6.0])
    chosen = best_threshold(labels, margins)
    assert chosen == pytest.approx(3.0)
    assert best_threshold(labels, np.zeros(6)) in (-1.0, 1.0)
    assert best_threshold([0, 1], [-5.0, 1.0]) == -2.0


def test_intervals_resample_persons_not_images():
    random = np.random.default_rng(0)
    people, copies = 60, 10
    person = np.repeat(np.arange(people), copies)
    labels = np.repeat(random.integers(0, 2, people), copies)
    margins = np.repeat(random.normal(size=people), copies) + labels
    by_person = intervals(labels, margins, 0.5, [str(p) for p in person], resamples=300)
    by_image = intervals(labels, margins, 0.5, [str(i) for i in range(600)], resamples=300)
    width = {name: high - low for name, (low, high) in by_person.items()}
    narrow = {name: high - low for name, (low, high) in by_image.items()}
    for name in ("accuracy", "auc"):
        # ten copies of one face are one observation: sqrt(10) = 3.2
        assert 2.2 < width[name] / narrow[name] < 4.5
        low, high = by_person[name]
        assert low < evaluate(labels, margins, 0.5)[name] < high
    assert by_person == intervals(labels, margins, 0.5, [str(p) for p in person], resamples=300)


def scored(n: int = 40):
    """Predictions and manifest of a small rendered-like set; two variants and the control."""
    random = np.random.default_rng(1)
    labels = np.arange(n) % 2
    manifest = pd.DataFrame(
        {
            "id": [f"i{k}" for k in range(n)],
            "split": "test",
            "label": labels,
            "person": [f"p{k // 4}" for k in range(n)],
            "generator": np.where(labels, np.where(np.arange(n) % 4 == 1, "a", "b"), ""),
            "platform": "presocial",
            "set": "demo",
            "artefacts": np.where(labels, np.where(np.arange(n) % 4 == 1, "x+y", "x"), ""),
        }
    )
    parts = [
        predictions.table(
            "test", list(manifest["id"]), labels, {name: labels * s + random.normal(size=n)}
        )
        for name, s in (("clean", 3.0), ("blur1", 1.0), ("without_artefacts", 0.0))
    ]
    return pd.concat(parts, ignore_index=True), manifest


def full(found):
    cost = {"parameters": 5, "epochs": 1, "best_epoch": 1, "seconds": 1.0, "images_per_second": 1.0}
    cost |= {"device": "cpu", "precision": "float32"}
    return found | {"training": {"cost": cost, "recipe": {"width": 1.0, "image_size": 64}}}


def test_scores_per_variant_generator_and_artefact():
    table, manifest = scored()
    found = model_scores(table, manifest, 0.5, resamples=50)
    assert set(found["variants"]) == {"blur1", "without_artefacts"}
    clean = table.query("variant == 'clean'")
    assert found["clean"]["auc"] == auc(clean["label"], clean["margin"])
    change = found["variants"]["blur1"]["accuracy"] / found["clean"]["accuracy"] - 1
    assert found["variants"]["blur1"]["accuracy_change_pct"] == pytest.approx(100 * change)
    assert set(found["generators"]) == {"a", "b"}
    assert set(found["artefacts"]) == {"several", "x"}
    several = clean.merge(manifest[["id", "artefacts"]], on="id")
    several = several[several["artefacts"].isin(["", "x+y"])]
    assert found["artefacts"]["several"]["auc"] == auc(several["label"], several["margin"])


def test_an_image_scored_twice_or_never_is_noticed():
    table, manifest = scored()
    for wrong in (table.drop(index=3), pd.concat([table, table.iloc[[3]]])):
        with pytest.raises(UserError, match="exactly once"):
            model_scores(wrong, manifest, 0.5, resamples=5)


def test_summary_has_constant_keys_and_a_named_headline():
    table, manifest = scored()
    found = full(model_scores(table, manifest, 0.5, resamples=50))
    alone, both = summary({"m": found}, "other"), summary({"m": found, "other": found}, "other")
    assert list(alone) == list(both)
    assert len(alone) <= 12
    json.dumps(alone, allow_nan=False)
    assert alone["perturbed_auc_worst"] == found["variants"]["blur1"]["auc"]
    with pytest.raises(UserError, match="not selected"):
        summary({"m": found, "n": found}, "other")


def test_report_shows_what_was_measured():
    table, manifest = scored()
    found = full(model_scores(table, manifest, 0.5, resamples=50))
    counts = {split: {"real": 1, "fake": 2} for split in ("train", "valid", "test")}
    data = {"counts": counts, "set_aside": {"count": 3}, "unused": 7,
            "pairs_across_splits": {"look-alike": 2},
            "audit": {"images": 9, "auc": {}, "warnings": ["Too few images"]}}  # fmt: skip
    text = report({"m": found}, data, "demo", {})
    assert "3 set aside. 7 images are not used" in text
    assert "2 look-alike (metrics/leaks.csv)" in text
    assert "**Warning**: Too few images" in text
    assert "rendered, not photos" in text
    assert f"{found['clean']['auc']:.3f} [" in text
    assert "3 set aside" in text
    assert robustness({"m": found})["variant"].tolist() == ["clean", "blur1", "without_artefacts"]


def test_curves_of_fake_and_real_score_agree_on_the_area():
    table, _ = scored()
    clean = table.query("variant == 'clean'")
    curves = error_curves({"m": clean["margin"].to_numpy()}, {"m": clean["label"].to_numpy()})
    assert set(curves["score"]) == {"fake", "real"}
    assert curves.groupby("score")["auc"].first().nunique() == 1
    for _, part in curves.groupby("score"):
        area = np.trapezoid(part["tpr"], part["fpr"])
        assert area == pytest.approx(part["auc"].iloc[0], abs=1e-9)
    row = curves[(curves["fpr"] > 0.1) & (curves["fpr"] < 0.9)].iloc[0]
    from scipy.stats import norm

    assert norm.cdf(row["fpr_deviate"]) == pytest.approx(row["fpr"])


def test_predictions_keep_margins_and_threshold_exactly(tmp_path):
    table, _ = scored()
    predictions.write(tmp_path / "p.parquet", table, threshold=0.1 + 0.2)
    back, threshold = predictions.read(tmp_path / "p.parquet")
    assert threshold == 0.1 + 0.2
    assert (back["margin"] == table["margin"]).all()
    assert tuple(back.columns) == predictions.COLUMNS
    (tmp_path / "q.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match="not a facetell predictions file"):
        predictions.read(tmp_path / "q.parquet")
