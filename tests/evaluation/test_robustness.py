# SPDX-License-Identifier: Apache-2.0
"""What breaks a detector, as a table and in words, on numbers that are worked by hand."""

import json

import pytest

from facetell.evaluation.predictions import CONTROL
from facetell.evaluation.robustness import by_variant, frequencies, robustness, signed, weak_points


def numbers(auc, drop=0.0, flips=(0.0, 0.0), **facts):
    """Of one variant, with intervals of +-0.01."""
    found = {"accuracy": auc - 0.1, "auc": auc} | facts
    found["interval"] = {n: [found[n] - 0.01, found[n] + 0.01] for n in ("accuracy", "auc")}
    found["drop"] = {"auc": drop, "accuracy": drop / 2}
    found["drop_interval"] = {n: [v - 0.01, v + 0.01] for n, v in found["drop"].items()}
    found["accuracy_change_pct"] = -100 * drop
    found["drop_interval"]["accuracy_change_pct"] = [-100 * drop - 1, -100 * drop + 1]
    found["flips"] = dict(zip(("fake_to_real", "real_to_fake"), flips, strict=True))
    found["flips_interval"] = {n: [v, v + 0.02] for n, v in found["flips"].items()}
    return found


def blur(level, auc, **more):
    facts = {"perturbation": "blur", "level": level, "label": "Blur (px)", "neutral": 0}
    return numbers(auc, 0.9 - auc, probe=False, **facts, **more)


def band(level, drop):
    facts = {"perturbation": "band_stop", "level": level, "label": "Band", "neutral": None}
    return numbers(0.9 - drop, drop, probe=True, **facts)


SCORES = {
    "net": {
        "clean": numbers(0.9),
        "variants": {
            "blur_1": blur(1, 0.8, flips=(0.05, 0.01)),
            "blur_2": blur(2, 0.6, flips=(0.30, 0.02)),
            "grayscale": numbers(0.85, 0.05, perturbation="grayscale", level=None, probe=False),
            "band_stop_0": band(0, 0.02),
            "band_stop_1": band(1, 0.01),
            "band_stop_2": band(2, 0.2),
            "band_stop_3": band(3, 0.1),
            CONTROL: numbers(0.5, 0.4, perturbation=None),
        },
        "robustness": {
            "perturbations": 2,
            "auc_mean": 0.775,
            "auc_worst": 0.6,
            "worst": "blur_2",
            "interval": {"auc_mean": [0.76, 0.79], "auc_worst": [0.59, 0.61]},
        },
    }
}


def test_a_row_for_every_variant_with_its_numbers():
    table = robustness(SCORES).set_index("variant")
    assert list(table.index) == ["clean", *SCORES["net"]["variants"]]
    row = table.loc["blur_2"]
    assert (row["level"], row["neutral"], row["perturbation"]) == (2, 0, "blur")
    assert row["drop_auc"] == pytest.approx(0.3)
    assert row[["fake_to_real_low", "fake_to_real_high"]].tolist() == pytest.approx([0.3, 0.32])
    assert table.loc["clean", "drop_auc"] == 0
    assert table["probe"].sum() == 4


def test_the_worst_and_the_mean_over_perturbations_are_said():
    (said,) = weak_points(SCORES)
    assert said == (
        "`net`: mean AUC 0.775 [0.760, 0.790] over 2 perturbations, lowest with `blur_2` at "
        "0.600 [0.590, 0.610]. `blur_2` changes the most verdicts: 30% of all images [30%, 32%] "
        "from fake to real, 2% from real to fake."
    )


def test_the_band_that_matters_most_is_named_in_cycles_per_pixel():
    (said,) = frequencies(robustness(SCORES))
    assert "`net` depends most on 0.25 to 0.38 cycles per pixel" in said
    assert "AUC falls by 0.200 [0.190, 0.210]" in said
    assert "upper half of frequencies costs +0.150 on average, one of the lower half +0.015" in said
    small = json.loads(json.dumps(SCORES))
    for name in ("band_stop_0", "band_stop_1", "band_stop_2", "band_stop_3"):
        small["net"]["variants"][name] |= {"drop_interval": {"auc": [-0.01, 0.2]}}
    assert frequencies(robustness(small)) == ["`net` does not clearly depend on any single band."]


def test_a_wide_table_has_a_column_for_each_model_and_no_control():
    table = by_variant(robustness(SCORES | {"other": SCORES["net"]}))
    assert list(table) == ["variant", "net", "other"]
    assert CONTROL not in set(table["variant"])
    cell = table.set_index("variant").loc["blur_2", "net"]
    assert cell == "0.600 (-0.300 [-0.310, -0.290])"


def test_there_is_no_minus_zero():
    assert [signed(value) for value in (-0.0001, 0.0, -0.1234)] == ["+0.000", "+0.000", "-0.123"]


def test_one_class_has_no_auc_and_breaks_nothing():
    bare = {k: v for k, v in numbers(0.9).items() if k != "auc"} | {"drop": {}}
    variant = bare | {"perturbation": "blur", "level": 2, "probe": False}
    scores = {"net": {"clean": bare, "variants": {"blur_2": variant}, "robustness": {}}}
    table = robustness(scores)
    assert weak_points(scores) == []
    assert frequencies(table) == []
    assert by_variant(table).iloc[0, 1] == ""
