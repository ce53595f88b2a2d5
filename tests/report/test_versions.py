# SPDX-License-Identifier: Apache-2.0
"""Versions compared as values, Markdown and a page: what changed, what did not, what cannot be
known."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.evaluation.predictions import Predictions, table
from facetell.report.versions.compared import compare
from facetell.report.versions.page import page
from facetell.report.versions.settings import changes, in_words
from facetell.report.versions.summary import summary
from facetell.report.versions.version import Model, Version

IMAGES = 40
LABELS = np.arange(IMAGES) % 2
MARGINS = (LABELS - 0.5) * 2


def images_of(prefix: str = "demo") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"{prefix}/{row:02}" for row in range(IMAGES)],
            "split": "test",
            "label": LABELS,
            "person": [f"p{row // 2}" for row in range(IMAGES)],
            "generator": np.where(LABELS == 1, "swap<per>", ""),
        }
    )


def predicted(margins: np.ndarray, prefix: str = "demo", threshold: float = 0.0) -> Predictions:
    ids = images_of(prefix)["id"].tolist()
    return Predictions(table("test", ids, LABELS, {"clean": margins}), threshold, {})


def version(name: str, margins: np.ndarray | None = MARGINS, prefix: str = "demo", **others):
    """Model swin; ``margins`` None: the predictions are not at hand."""
    auc = 0.75 if margins is None else float(margins[LABELS == 1].mean())
    scores = {
        "clean": {"auc": auc, "accuracy": 0.5, "interval": {"auc": [auc - 0.1, auc + 0.1]}},
        "robustness": {"auc_mean": 0.7, "auc_worst": auc / 2, "worst": "hue"},
        "variants": {"hue": {"auc": auc / 2}, "blur": {"auc": 0.7}},
    }
    known = {} if margins is None else {"predictions": predicted(margins, prefix)}
    manifest = None if margins is None else images_of(prefix)
    return Version(name, models={"swin": Model(scores, **known)}, manifest=manifest, **others)


def turned(*rows: int, by: float = 1.5) -> np.ndarray:
    margins = MARGINS.copy()
    margins[list(rows)] -= np.sign(MARGINS[list(rows)]) * by
    return margins


def test_equal_versions_have_no_difference():
    found = compare([version("main"), version("workspace")])
    swin = found.models["swin"]
    assert not swin.changed
    assert swin.pairs[0].turned == ()
    difference = swin.differences["auc"][0]
    assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
    assert "No number, verdict or map changed: `swin`." in summary(found)
    assert "####" not in summary(found)


def test_turned_verdicts_are_counted_by_what_they_became_the_largest_first():
    margins = turned(4, 7)
    margins[7] -= 1
    found = compare([version("main", turned(9)), version("new", margins)])
    pair = found.models["swin"].pairs[0]
    assert [image.id for image in pair.turned] == ["demo/07", "demo/04", "demo/09"]
    assert [image.right for image in pair.turned] == [False, False, True]
    assert [image.label for image in pair.turned] == ["fake", "real", "fake"]
    assert (pair.righted, pair.spoilt) == (1, 2)
    assert "| swin | 3 of 40 | 1 | 2 | 2 | 1 |" in summary(found)
    accuracy = found.models["swin"].differences["accuracy"][0]
    assert accuracy.value == pytest.approx(-1 / 40)
    assert accuracy.low < 0 < accuracy.high


def test_a_moved_threshold_turns_verdicts_too():
    old = version("main")
    new = version("new")
    new.models["swin"].__dict__["predictions"] = predicted(MARGINS, threshold=1.5)
    images = compare([old, new]).models["swin"].pairs[0].turned
    assert len(images) == IMAGES / 2
    assert {(image.old, image.new) for image in images} == {(1.0, -0.5)}


def test_without_predictions_intervals_stay_and_the_remedy_is_named():
    found = compare([version("main", None), version("workspace", turned(1))])
    swin = found.models["swin"]
    assert swin.pairs == [None]
    assert swin.differences["auc"][0].p is None
    text = summary(found)
    assert "the predictions of main are not here" in text
    assert "dvc repro" in text
    assert "[0.650, 0.850]" in text
    assert "verdict changed" not in text


def test_other_test_images_are_not_subtracted():
    found = compare([version("main"), version("new", turned(1), prefix="other")])
    assert found.models["swin"].differences["auc"] == [None]
    assert found.models["swin"].pairs == [None]
    assert (
        "Nothing is subtracted, as main and new have other test images (40 and 40, of which 0"
        in (summary(found))
    )


def test_other_labels_are_other_images():
    new = version("new")
    new.manifest.loc[0, "label"] = 1
    assert compare([version("main"), new]).models["swin"].pairs == [None]


def test_predictions_of_other_images_than_the_manifest_are_not_paired():
    new = version("new")
    new.models["swin"].__dict__["predictions"] = predicted(MARGINS, "stale")
    assert compare([version("main"), new]).models["swin"].pairs == [None]


def test_models_of_one_version_only():
    new = version("new")
    new = Version("new", models={**new.models, "vit": new.models["swin"]}, manifest=new.manifest)
    found = compare([version("main"), new])
    assert found.models["vit"].numbers["auc"][0] is None
    assert found.models["vit"].differences["auc"] == [None]
    assert re.search(r"\| vit \| – \| 1.000 \[0.900, 1.100\] \| – \|", summary(found))


def test_a_version_without_results_says_so():
    found = compare([Version("ancient"), version("new")])
    assert "ancient has no results: no metrics/models" in found.notes
    with pytest.raises(UserError, match="no results in a, b"):
        compare([Version("a"), Version("b")])


def test_several_versions_are_columns():
    found = compare([version("a"), version("b", turned(1)), version("c", turned(2, 3))])
    text = summary(found)
    assert "### `b` and `c`, compared with `a`" in text
    assert "| model | `a` | `b` | `c` | `b` − `a` | `c` − `a` |" in text
    assert "| swin | c | 2 of 40 |" in text


def test_settings_data_and_warnings():
    old = version("main", params={"train": {"seed": 0}}, data={"persons": 3, "warnings": ["a"]})
    new = version("new", params={"train": {"seed": 1}}, data={"persons": 4, "warnings": ["b"]})
    text = summary(compare([old, new]))
    for line in ("- `train.seed`: 0 → 1", "- `persons`: 3 → 4", "- gone: a", "- new: b"):
        assert line in text


def test_maps_that_are_believed():
    old, new = version("main"), version("new")
    for side, believed in ((old, 3), (new, 0)):
        verdict = {"believed": believed, "maps": 9, "scope": "restricted"}
        side.models["swin"].__dict__["explained"] = {"planted": {"verdicts": {"single": verdict}}}
    assert "| swin | 3 of 9 (restricted) | 0 of 9 |" in summary(compare([old, new]))


def test_the_json_has_every_turned_image_and_the_page_the_largest():
    rows = range(0, IMAGES, 2)
    found = compare([version("main"), *(version(n, turned(*rows)) for n in "abcdef")])
    written = json.loads(json.dumps(found.as_json()))
    assert len(written["models"]["swin"]["pairs"][0]["turned"]) == IMAGES / 2
    html = page(found)
    assert html.count("wrong now</strong>") == 6 * 10
    assert "20 images, the 10 whose margin moved most" in html


def test_the_page_escapes_names_and_asks_for_nothing_from_elsewhere():
    html = page(compare([version("<main>"), version("new", turned(1))]))
    assert "<main>" not in html.replace("<main>\n<h1>", "", 1)
    assert "swap&lt;per&gt;" in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "<script" not in html
    assert "no picture here" in html


def test_the_page_overlays_the_curves():
    roc = pd.DataFrame({"model": "swin", "score": "fake", "fpr": [0, 0.2, 1], "tpr": [0, 0.9, 1]})
    with_curves = compare([version("main", roc=roc), version("new", turned(1), roc=roc)])
    assert 'alt="ROC curves of swin. main: AUC 1.000; new: AUC 0.925"' in page(with_curves)
    without = compare([version("main", roc=roc), version("new", turned(1))])
    assert "ROC curves of swin" not in page(without)


def test_changes_of_settings_are_as_few_keys_as_say_it():
    old = {"a": {"b": None, "c": [1, 2]}, "gone": {"x": 1}, "kind": {"deep": 1}}
    new = {"a": {"b": 2, "c": [1, 2]}, "kind": "plain", "new": False}
    assert list(map(str, changes(old, new))) == [
        "a.b: null → 2", "kind: 1 key → plain", "new: absent → false", "gone: 1 key → absent",
    ]  # fmt: skip
    assert changes(old, new)[2].as_json() == {"key": "new", "new": False}
    assert in_words("x" * 100) == "x" * 39 + "…"
    assert in_words("") == "''"
