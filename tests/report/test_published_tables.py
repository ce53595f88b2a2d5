# SPDX-License-Identifier: Apache-2.0
"""The reports' tables and the learning curves of made-up trainings, against hand-worked cases."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk
from support.results import DATA, WARNING, learning, recipe, trained

from facetell.common.errors import UserError
from facetell.common.files import write_csv
from facetell.evaluation.learning_curve import by_epoch
from facetell.models import build, parameter_count
from facetell.report import published
from facetell.report.detectors import report
from facetell.report.published_tables import DIFFERS, TEXT, OurData, differences, tables

NO_PAIRS = pd.DataFrame()  # of detectors to compare
DEMO = OurData.of("demo", DATA)
FACES = OurData("faces140k", "faces140k", 100_000)


def made(*models: str, **cost) -> dict[str, pd.DataFrame]:
    return tables({m: trained(m, **cost) for m in models}, learning(*models), DEMO)


@pytest.mark.parametrize("row", published.ACCURACY, ids=lambda row: row.name)
def test_nothing_differs_for_the_published_recipe_on_the_published_data(row):
    found = differences(recipe(row.model, "paper"), FACES, row.setting)
    assert found == ("25 of 50 epochs" if row.name == "SWIN-50 Ep" else "")


@pytest.mark.parametrize("row", published.BEST_EPOCH, ids=lambda row: row.name)
def test_the_course_recipes_are_the_published_ones(row):
    ours = recipe(row.model, "paper") | {"epochs": row.setting.epochs}
    folder = OurData("folder", "folder", 2_200)
    assert differences(ours, folder, row.setting) == "folder, 2,200 images"


def test_published_test_accuracies_agree_with_the_changes_printed_elsewhere():
    """S0's Table 4 gives accuracy on grayscale images and its percent change against clean ones."""
    test = {row.name: row.values["test"] for row in published.ACCURACY}
    printed = {"RCNN": (80.85, -11.73), "SepNet-Aug": (94.56, -2.15), "ViT": (66.30, -23.14)}
    for name, (accuracy, change) in (printed | {"SWIN-50 Ep": (84.55, -12.13)}).items():
        assert 100 * (accuracy / test[name] - 1) == pytest.approx(change, abs=0.006)


def test_what_differs_is_said_in_a_few_words():
    sepnet, swin = published.ACCURACY[1].setting, published.ACCURACY[5].setting
    assert differences(recipe("sepnet", "quick"), DEMO, sepnet) == (
        "demo, 2,200 images, 3 of 25 epochs, width 1/16, zero_init, depth 0.25, "
        "64 of 224 px, adamw for nadam, augment flip for none"
    )
    ours = recipe("swin", "paper")
    changed = ours | {"pretrained": "w.pth", "lr": 0.01, "augment": ["s0", "blur"], "width": 0.3}
    assert differences(changed, replace(FACES, images=1_360), swin) == (
        "1,360 of 100,000 images, width 3/10, pretrained, lr 0.01 for 0.001, "
        "augment s0 + blur for none"
    )
    trueface = published.PRESOCIAL[1].setting  # which states neither recipe nor number of images
    ours = OurData("trueface", "trueface", 9)
    assert differences(recipe("resnet50", "quick"), ours, trueface) == "width 1/4"
    assert differences(recipe("resnet50", "paper"), ours, trueface) == ""


def test_whether_the_data_are_those_of_the_publication_is_told_by_what_they_are():
    def said(name: str, layouts: dict[str, str], **treatment) -> str:
        counts = {"train": {"real": 50_000, "fake": 50_000}}
        data = {"counts": counts, "layouts": layouts, "laundered": 0, "harmonised": False}
        ours = OurData.of(name, data | treatment)
        return differences(recipe("sepnet", "paper"), ours, published.ACCURACY[1].setting)

    assert said("mix", {"a": "faces140k"}) == ""
    assert said("faces140k", {"faces140k": "folder"}) == "faces140k, 100,000 images"
    assert said("mix", {"a": "faces140k", "b": "folder"}) == "mix, 100,000 images"
    assert said("x", {"a": "faces140k"}, laundered=3, harmonised=True) == "laundered, re-encoded"


def test_perturbations_are_found_by_what_they_are_not_by_their_name():
    def variant(name: str, level: float | None, accuracy: float) -> dict:
        found = {"perturbation": name, "level": level, "accuracy": accuracy}
        return found | {"interval": {"accuracy": [0.1, 0.9]}, "drop_interval": {}}

    scores = {"swin": trained("swin")}
    scores["swin"]["variants"] = {
        "crop": variant("crop", 100, 0.1),
        "closer": variant("crop", 160, 0.2),
        "blur_1": variant("blur", 1.0, 0.3),
        "without_artefacts": variant("", None, 0.5) | {"perturbation": None},
    }
    table = tables(scores, learning("swin"), DEMO)["perturbations"]
    assert table[["variant", "accuracy"]].to_numpy().tolist() == [["blur_1", 0.3], ["closer", 0.2]]
    assert table["accuracy_published"].tolist() == pytest.approx([0.8177, 0.5883])


def test_accuracy_is_that_of_the_kept_epoch_at_margin_zero():
    row = made("sepnet")["accuracy"].iloc[0]
    assert (row["train"], row["valid"], row["test"]) == (1.0, 0.5, 0.25)
    theirs = [row[f"{split}_published"] for split in ("train", "valid", "test")]
    assert theirs == pytest.approx([0.9996, 0.8885, 0.8949])
    at_threshold = [row[f"at_threshold{end}"] for end in ("", "_low", "_high")]
    assert at_threshold == [0.81, 0.77, 0.85]


def test_only_selected_models_have_rows_and_a_table_of_none_is_left_out():
    found = made("swin", "mobilenetv2")
    assert list(found) == ["accuracy", "cost", "best_epoch"]
    assert found["accuracy"]["published_as"].tolist() == ["SWIN-25 Ep", "SWIN-50 Ep"]
    for name in ("cost", "best_epoch"):
        assert found[name]["model"].tolist() == ["swin", "mobilenetv2"]
    assert found["cost"].loc[1, ["parameters_published", DIFFERS]].isna().all()
    assert list(made("mobilenetv2")) == ["cost", "best_epoch"]
    assert list(made("efficientnet_b0")["presocial"]["accuracy_published"]) == [0.9909]


def test_published_speeds_and_units():
    found = made("rcnn", "sepnet", "swin", gpu_memory_mib=1e9 / 2**20)["cost"]
    assert found["images_per_second_published"].round().tolist() == [85, 154, 143]
    assert found["gpu_memory_gb"].tolist() == pytest.approx([1, 1, 1])
    assert found["disk_gb"].iloc[0] == pytest.approx(8 * 1024**2 / 1e9)


def test_the_published_sizes_are_those_of_our_networks():
    exact = {}
    for row in published.COST:
        with torch.device("meta"):
            exact[row.model] = parameter_count(build(row.model, image_size=row.setting.image_size))
        assert row.values["parameters"] == pytest.approx(exact[row.model], rel=4e-3)
    for row in published.COST[:2]:  # their gigabyte: 1024 MB of 1,000,000 bytes
        assert round(4 * exact[row.model] / 1.024e9, 2) == row.values["disk_gb"]


def test_tables_are_machine_readable(tmp_path):
    found = made("rcnn", "sepnet", "simplenet", "xception", "efficientnet_b0", "mobilenetv2")
    for name, table in found.items():
        write_csv(tmp_path / "t.csv", table, digits=5)
        back = pd.read_csv(tmp_path / "t.csv")
        assert back.columns[-1] == DIFFERS
        for column in back.columns.difference(TEXT):
            assert pd.api.types.is_numeric_dtype(back[column]), (name, column)
        assert (back.filter(regex="accuracy|train|valid").fillna(0) <= 1).all(axis=None)
    assert found["cost"]["multiply_adds"].tolist() == [12345678] * 6


def test_report_words_ours_beside_theirs():
    models = ("sepnet", "simplenet", "resnet50")
    scores = {model: trained(model) for model in models}
    text = report(scores, DATA, "demo", made(*models), NO_PAIRS, "sepnet")
    for words in (
        "| sepnet | 100.00 / 99.96 | 50.00 / 88.85 | 25.00 / 89.49 | 81.00 [77.00, 85.00] |",
        "| 2,073,969 / 506,000,000 | 12.3 M | 1.05 GB | – / 9.5 GB | 8.39 MB / 1.98 GB |",
        "| simplenet | 2 / 3 | 0.500 | 100.00 | 0.500 | 50.00 / 87.29 | 0.500 | 25.00 / 84.62 |",
        f"**Warning**: {WARNING}",
        "| model | demo (n = 9) | own (n = 4) |",
        "| sepnet | 0.810 [0.600, 0.900] | 0.700 [0.600, 0.900] (0.800) |",
        "| JPEG quality | 0.70 [0.65, 0.75] |",
        "| resnet50 | 80.30 [60.00, 90.00] / 99.71 | 82.20 / 99.71 | ResNet50 | demo, ",
    ):
        assert words in text
    assert not re.search(r"\bnan\b|None|<NA>", text)
    assert "after a slash" not in report(
        {"mobilenetv2": trained("mobilenetv2")}, DATA, "demo", made("mobilenetv2"), NO_PAIRS, ""
    )


def test_test_curve_agrees_with_scikit_learn():
    random = np.random.default_rng(4)
    labels = pd.Series(random.integers(0, 2, 50), index=[f"i{k}" for k in range(50)])
    parts = []
    for epoch in (1, 2):
        margin = random.normal(scale=9, size=50).astype(np.float32)
        margin[:4] = 0
        part = pd.DataFrame({"epoch": epoch, "id": labels.index, "margin": margin})
        parts.append(part.sample(frac=1, random_state=epoch))  # in any order
    found = by_epoch(pd.concat(parts), labels).set_index("epoch")
    for epoch, part in zip((1, 2), parts, strict=True):
        truth, margin = labels[part["id"]], part["margin"].astype(float)
        loss = sk.log_loss(truth, 1 / (1 + np.exp(-margin)))
        assert found.loc[epoch, "test_loss"] == pytest.approx(loss, rel=1e-9)
        accuracy = sk.accuracy_score(truth, margin >= 0)
        assert found.loc[epoch, "test_accuracy"] == pytest.approx(accuracy)
    far = pd.DataFrame({"epoch": 1, "id": ["a", "b"], "margin": [-800.0, 800.0]})
    assert by_epoch(far, pd.Series({"a": 1, "b": 1}))["test_loss"][0] == pytest.approx(400)


def test_a_test_curve_of_other_images_is_noticed():
    labels = pd.Series({"a": 1, "b": 0})
    for ids in (["a"], ["a", "a"], ["a", "c"], ["a", "b", "b"]):
        with pytest.raises(UserError, match="epoch 7 does not score"):
            by_epoch(pd.DataFrame({"epoch": 7, "id": ids, "margin": 0.0}), labels)
