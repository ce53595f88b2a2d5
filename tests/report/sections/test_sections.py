# SPDX-License-Identifier: Apache-2.0
"""What the report says: of what, under which condition, and with the constants of the code."""

import pandas as pd
import pytest
from support.results import DATA, trained

from facetell.evaluation.predictions import CONTROL
from facetell.metrics import evaluate, intervals, paired_tests
from facetell.report import number_format
from facetell.report.markdown import in_markdown
from facetell.report.sections.beside import beside_published
from facetell.report.sections.clean import clean_images, operating_point
from facetell.report.sections.data import images, shortcuts
from facetell.report.sections.differences import differences
from facetell.report.sections.parts import leak, parts
from facetell.report.sections.perturbed import perturbed_images

text = in_markdown


@pytest.mark.parametrize(
    ("rendered", "said"),
    [
        ({"images": 0, "of": 9000, "sets": []}, None),
        ({"images": 9000, "of": 9000, "sets": ["a"]}, "All images are **rendered, not photos**."),
        (
            {"images": 1200, "of": 9000, "sets": ["a", "b"]},
            "Of these 9,000 images, 1,200 are **rendered, not photos**: those of `a` and `b`.",
        ),
    ],
)
def test_rendered_images_are_never_taken_for_photos(rendered, said):
    found = text(images(DATA | {"rendered": rendered}))
    assert said in found if said else "rendered" not in found


def test_what_was_done_to_the_images_and_left_out_is_said():
    assert "re-encoded" not in text(images(DATA))
    assert "cannot be used" not in text(images(DATA))
    changed = {
        "laundered": 1500,
        "harmonised": True,
        "unused": 7,
        "set_aside": {"count": 3, "reasons": {"too small": 2, "empty file": 1}},
        "pairs_across_splits": {"near copy": 0, "look-alike": 2},
        "copies": 12,
        "effective": DATA["effective"] | {"train": 990},
        "warnings": ["9 images are listed, but are not there"],
    }
    found = text(images(DATA | changed))
    for said in (
        "1,500 persons in all (found by: persons that the set names).",
        "Without the 12 copies inside a split, the images are: train 990, ",
        "**Warning**: 9 images are listed, but are not there.",
        "1,500 images were put through a simulated platform (`data.launder`).",
        "All images were re-encoded in one way (`data.harmonise`).",
        "3 more cannot be used (2 too small, 1 empty file; metrics/set_aside.csv).",
        "7 more are not used (`data.train_on`, `use`).",
        "Pairs of images across splits: 2 look-alike (metrics/leaks.csv).",
    ):
        assert said in found


def test_what_a_leak_is_worth_is_told_where_there_is_one():
    numbers = {"n_fake": 18, "auc": 0.9, "accuracy": 0.8, "accuracy_fake": 0.7}
    numbers["interval"] = {"auc": [0.85, 0.95], "accuracy": [0.7, 0.9]}
    twins = {"with": numbers, "without": numbers | {"n_fake": 982, "auc": 0.85}}
    assert leak({"one": {}}) == []
    found = text(leak({"one": {"twins": twins}, "two": {}}))
    assert "| `one`" not in found or "two" not in found
    assert "with a twin in training (n = 18) | 0.900 [0.850, 0.950]" in found
    assert "without a twin in training (n = 982) | 0.850" in found


def test_an_audit_that_found_nothing_says_up_to_where():
    audit = DATA["audit"] | {"warnings": [], "limit": 0.65}
    assert shortcuts(audit)[1] == (
        "No single shortcut, nor all of them combined, separates the classes with an AUC above "
        "0.65."
    )
    skipped = {"warnings": ["The audit was skipped."], "auc": {}, "images": 4, "limit": 0.6}
    assert shortcuts(skipped)[1:] == ["**Warning**: The audit was skipped."]


def pairs(p_value: float) -> pd.DataFrame:
    row = {"a": "one", "b": "two"}
    for number, test in (("accuracy", "mcnemar"), ("auc", "delong")):
        row |= {f"{number}_difference": 0.1, f"{number}_low": 0.05, f"{number}_high": 0.15}
        row |= {f"{test}_holm": p_value}
    return pd.DataFrame([row])


def test_levels_are_those_of_the_code(monkeypatch):
    tables = {"accuracy": pd.DataFrame({"model": ["x"], "published_as": [None]})}
    columns = ["train", "valid", "test", "at_threshold", "what differs"]
    tables["accuracy"] = tables["accuracy"].reindex(columns=["model", "published_as", *columns])

    def said() -> list[str]:
        return [text(images(DATA)), text(differences(pairs(0.03), "one")),
                text(beside_published(tables))]  # fmt: skip

    assert all("95% interval" in part for part in said())
    assert "+10.0 *" in said()[1]
    assert "\\* p < 0.05 after Holm's correction." in said()[1]
    monkeypatch.setattr(intervals, "LEVEL", 0.99)
    monkeypatch.setattr(paired_tests, "ALPHA", 0.01)
    assert all("99% interval" in part and "95%" not in part for part in said())
    assert "+10.0 *" not in said()[1]
    assert "`one` and `two` do not differ significantly in accuracy: 10.0" in said()[1]
    assert "\\* p < 0.01 after Holm's correction." in said()[1]


def test_operating_points_are_called_by_their_level(monkeypatch):
    scores = {"swin": trained("swin")}
    assert "| TPR at FPR 1% |" in text(clean_images(scores))
    monkeypatch.setattr(evaluate, "TPR_AT", {"tpr_at_fpr_1pct": 0.02})
    assert "| TPR at FPR 2% |" in text(clean_images(scores))
    assert operating_point(scores) == []
    scores["swin"]["clean"] |= {"bpcer_at_apcer_5pct": 0.5}
    scores["swin"]["clean"]["interval"] |= {"bpcer_at_apcer_5pct": [0.4, 0.6]}
    assert "| BPCER at APCER 5% |" in text(operating_point(scores))


def test_omitted_metrics_are_said_once_and_of_whom():
    scores = {name: trained("swin") for name in ("one", "two")}
    for found in scores.values():
        found["clean"]["left_out"] = {"tpr_at_fpr_01pct": "9 real images; 1,000 are needed"}
    scores["two"]["clean"]["left_out"]["log_loss"] = "an infinite margin is on the wrong side"
    assert clean_images(scores)[-1] == (
        "Metrics that need more images, or that these images leave undefined, are omitted, with "
        "the reason: TPR at FPR 0.1% (9 real images; 1,000 are needed); log loss of `two` (an "
        "infinite margin is on the wrong side)."
    )


def numbers(n_fake: int, **values: float) -> dict:
    found = {"n": n_fake + 5, "n_real": 5, "n_fake": n_fake} | values
    return found | {
        "interval": {name: [value - 0.1, value + 0.1] for name, value in values.items()}
    }


def planted(fakes: int) -> dict:
    """Scores with 30 fakes that carry artefacts, among ``fakes``."""
    scores = {"swin": trained("swin")}
    scores["swin"]["clean"]["n_fake"] = fakes
    scores["swin"]["artefacts"] = {
        "checkerboard": numbers(10, auc=0.75),
        "several": numbers(20, auc=0.9),
    }
    control = {"perturbation": None, "accuracy": 0.5, "auc": 0.5}
    control |= {"interval": {"accuracy": [0.4, 0.6], "auc": [0.4, 0.6]}}
    scores["swin"]["variants"] = {CONTROL: control}
    return scores


def test_planted_artefacts_have_intervals_and_several_come_first():
    found = text(parts(planted(30)))
    assert "| model | several (n = 20) | checkerboard (n = 10) |" in found
    assert "| swin | 0.900 [0.800, 1.000] | 0.750 [0.650, 0.850] |" in found
    of_one_class = planted(30)
    for group in of_one_class["swin"]["artefacts"].values():
        del group["auc"]
    assert "| swin | – | – |" in text(parts(of_one_class))


def test_the_control_promises_chance_only_where_all_fakes_were_planted():
    found = perturbed_images(planted(30))[-1]
    assert "nothing is left to find and AUC should be 0.5" in found
    assert found.endswith("It is 0.500 [0.400, 0.600] for `swin`.")
    mixed = perturbed_images(planted(1030))[-1]
    assert "should be 0.5" not in mixed
    assert "the 30 of 1,030 fakes that carry planted artefacts" in mixed


def test_pairs_that_are_not_put_into_words_are_mentioned(monkeypatch):
    several = pd.concat([pairs(0.03), pairs(0.03).assign(a="three")], ignore_index=True)
    assert "Only pairs" not in text(differences(several, "one"))
    monkeypatch.setattr(paired_tests, "SENTENCES", 1)
    found = text(differences(several, "one"))
    assert "Only pairs with `one` are put into words." in found
    assert "`three` beats" not in found


def test_large_numbers_are_short():
    scaled = [number_format.scaled(value) for value in (578, 12345678, 999.6)]
    assert scaled == ["578", "12.3 M", "1 k"]
