# SPDX-License-Identifier: Apache-2.0
"""Scores of one model from stored predictions: parts, paired drops, flips, and foreign files."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from facetell.common.errors import UserError
from facetell.evaluation.model_scores import margins_of, model_scores
from facetell.evaluation.predictions import CONTROL, Predictions, table
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples

BLUR = {"perturbation": "blur", "level": 2, "label": "Blur (px)", "neutral": 0, "probe": False}
STOP = {"perturbation": "band_stop", "level": 0, "label": "Band", "neutral": None, "probe": True}
THRESHOLD = 0.3


def manifest(people: int = 150) -> pd.DataFrame:
    """A real and a fake image of each person, of two generators; two platforms."""
    at = np.arange(2 * people)
    fake = at % 2 == 1
    return pd.DataFrame(
        {
            "id": [f"image{index:03d}" for index in at],
            "split": "test",
            "label": fake.astype(int),
            "person": at // 2,
            "generator": np.where(fake, np.where(at % 4 == 1, "one", "two"), ""),
            "psi": np.where(fake, np.where(at % 4 == 1, 0.7, 1.0), np.nan),
            "artefacts": np.where(fake, np.where(at % 6 == 1, "iris", "iris+wave"), ""),
            "platform": np.where(at < people, "presocial", "facebook"),
            "set": "demo",
        }
    )


def stored(test: pd.DataFrame, **changes) -> tuple[Predictions, dict[str, np.ndarray]]:
    """Predictions in another order than the manifest's, and the margins in the manifest's."""
    random = np.random.default_rng(5)
    clean = random.normal(size=len(test)) + 1.5 * test["label"].to_numpy()
    margins = {
        "clean": clean,
        "blur_2": clean - 1.0 + 0.3 * random.normal(size=len(test)),
        "band_stop_0": clean * 0.1,
        CONTROL: random.normal(size=len(test)),
    } | changes
    order = random.permutation(len(test))
    ids, labels = test["id"].to_numpy()[order], test["label"].to_numpy()[order]
    rows = table("test", ids.tolist(), labels, {k: v[order] for k, v in margins.items()})
    valid = np.arange(200) % 2
    scores = {"clean": 2 * (random.normal(size=200) + 1.5 * valid)}
    rows = pd.concat([table("valid", [f"v{i}" for i in range(200)], valid, scores), rows])
    return Predictions(rows, THRESHOLD, {"blur_2": BLUR, "band_stop_0": STOP}), margins


@pytest.fixture(scope="module")
def case():
    test = manifest()
    predictions, margins = stored(test)
    return test, margins, model_scores(predictions, test, resamples=300, seed=2)


def test_every_variant_is_judged_by_id(case):
    test, margins, found = case
    labels = test["label"].to_numpy()
    assert found["clean"]["auc"] == pytest.approx(roc_auc_score(labels, margins["clean"]))
    assert list(found["variants"]) == ["blur_2", "band_stop_0", CONTROL]
    for name, numbers in found["variants"].items():
        assert numbers["auc"] == pytest.approx(roc_auc_score(labels, margins[name]))
    assert found["variants"]["blur_2"]["level"] == 2
    json.dumps(found, allow_nan=False)


def test_parts_are_those_fakes_against_all_reals(case):
    test, margins, found = case
    labels, clean = test["label"].to_numpy(), margins["clean"]
    for name, numbers in found["generators"].items():
        chosen = ((labels == 0) | (test["generator"] == name)).to_numpy()
        assert numbers["auc"] == pytest.approx(roc_auc_score(labels[chosen], clean[chosen]))
        fakes = clean[(test["generator"] == name).to_numpy()]
        assert numbers["apcer"] == pytest.approx((fakes < THRESHOLD).mean())
    assert found["clean"]["apcer"] == max(n["apcer"] for n in found["generators"].values())
    assert list(found["psis"]) == ["0.7", "1"]
    assert set(found["artefacts"]) == {"iris", "several"}
    for name, numbers in found["platforms"].items():
        chosen = (test["platform"] == name).to_numpy()
        right = (clean[chosen] >= THRESHOLD) == (labels[chosen] == 1)
        assert numbers["accuracy"] == pytest.approx(right.mean())


def test_fakes_with_a_twin_in_training_are_judged_apart(case):
    test, margins, found = case
    assert "twins" not in found
    twins = test.loc[test["label"] == 1, "id"].tolist()[:20]
    predictions, _ = stored(test)
    found = model_scores(predictions, test, resamples=20, seed=0, twins=[*twins, "unknown"])
    labels, twin = test["label"].to_numpy(), test["id"].isin(twins).to_numpy()
    for name, chosen in (("with", (labels == 0) | twin), ("without", ~twin)):
        wanted = roc_auc_score(labels[chosen], margins["clean"][chosen])
        assert found["twins"][name]["auc"] == pytest.approx(wanted)


def test_drops_use_that_the_images_are_the_same(case):
    test, margins, found = case
    labels, blur = test["label"].to_numpy(), found["variants"]["blur_2"]
    draws = Resamples(test["person"], resamples=300, seed=2)
    before, after = (evaluate(labels, margins[n], THRESHOLD, draws) for n in ("clean", "blur_2"))
    lost = before.draws["auc"] - after.draws["auc"]
    assert blur["drop_interval"]["auc"] == pytest.approx(np.percentile(lost, [2.5, 97.5]))
    assert blur["drop"]["auc"] == pytest.approx(found["clean"]["auc"] - blur["auc"])
    # margins all but the same, shifted: the difference is far surer than either number
    width = np.ptp(blur["drop_interval"]["auc"])
    assert width < 0.7 * np.ptp(found["clean"]["interval"]["auc"])
    change = 100 * (blur["accuracy"] / found["clean"]["accuracy"] - 1)
    assert blur["accuracy_change_pct"] == pytest.approx(change)


def test_flips_are_counted_by_direction(case):
    _, margins, found = case
    before, after = (margins[name] >= THRESHOLD for name in ("clean", "blur_2"))
    flips = found["variants"]["blur_2"]["flips"]
    assert flips["fake_to_real"] == pytest.approx((before & ~after).mean())
    assert flips["real_to_fake"] == pytest.approx((~before & after).mean())
    assert flips["fake_to_real"] > 5 * flips["real_to_fake"]  # margins fell


def test_controls_and_probes_do_not_count_in_robustness(case):
    _, _, found = case
    blur = found["variants"]["blur_2"]
    expected = {"perturbations": 1, "auc_mean": blur["auc"], "auc_worst": blur["auc"]}
    kept = {name: found["robustness"][name] for name in expected}
    assert kept == pytest.approx(expected)
    assert found["robustness"]["worst"] == "blur_2"


def test_a_perturbation_counts_once_in_the_mean_by_that_of_its_levels():
    test = manifest(40)
    random = np.random.default_rng(3)
    variants = {"blur_1": BLUR | {"level": 1}, "blur_2": BLUR}
    variants["gray"] = BLUR | {"perturbation": "grayscale", "level": None}
    changes = {name: random.normal(size=80) + test["label"].to_numpy() for name in variants}
    predictions, _ = stored(test, **changes)
    known = variants | {"band_stop_0": STOP}
    found = model_scores(replace(predictions, variants=known), test, resamples=20, seed=0)
    areas = {name: found["variants"][name]["auc"] for name in variants}
    mean = ((areas["blur_1"] + areas["blur_2"]) / 2 + areas["gray"]) / 2
    assert found["robustness"]["perturbations"] == 2
    assert found["robustness"]["auc_mean"] == pytest.approx(mean)


def test_temperature_is_of_the_validation_images(case):
    _, _, found = case
    # of margins twice as sure as the test images' are: about twice the temperature of those
    assert found["calibration"]["n_valid"] == 200
    assert found["calibration"]["temperature"] > 1.2


def test_foreign_predictions_are_refused():
    test = manifest(20)
    predictions, _ = stored(test)
    rows = predictions.table
    for broken, says in (
        (rows.iloc[:-1], "does not score every test image exactly once"),
        (pd.concat([rows, rows.iloc[-1:]]), "does not score every test image exactly once"),
        (rows.replace({"id": {"image003": "image999"}}), "exactly once"),
        (rows.assign(label=1 - rows["label"]), "other labels than data/manifest"),
    ):
        other = Predictions(broken, predictions.threshold, predictions.variants)
        with pytest.raises(UserError, match=says):
            model_scores(other, test, resamples=20, seed=0)
    with pytest.raises(UserError, match="variant 'hue'"):
        margins_of(predictions, test, "hue")


def test_a_test_set_of_one_class_has_what_can_be_said():
    test = manifest(20).query("label == 1").reset_index(drop=True)
    predictions, _ = stored(test)
    found = model_scores(predictions, test, resamples=20, seed=0)
    assert "auc" not in found["clean"]
    assert found["robustness"] == {}
    assert "accuracy" in found["variants"]["blur_2"]["drop"]
    json.dumps(found, allow_nan=False)
