# SPDX-License-Identifier: Apache-2.0
"""Sets of hardly any images: each goes through every stage to the report, or is refused in one
line that says what to do."""

import json
import re
import warnings
from pathlib import Path

import pytest
from support import separable
from support.tiny_runs import MODEL, of_folder, of_rendered, through

Count = tuple[int, int]  # real, fake


def folder(root: Path, **count: Count) -> Path:
    """``root/<split>/{real,fake}`` with so many images; the split ``none`` has no folder."""
    for at, (split, numbers) in enumerate(count.items()):
        for label, (name, number) in enumerate(zip(("real", "fake"), numbers, strict=True)):
            for index in range(number):
                home = root / ("" if split == "none" else split) / name
                home.mkdir(parents=True, exist_ok=True)
                image = separable(1000 * at + 2 * index + label, label, 32)
                (home / f"{split}{index}.jpg").write_bytes(image)
    return root


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} in JSON")


def complete(home: Path) -> dict:
    """Whether everything was written, and nothing in it is undefined without being said; the
    model's numbers on clean images."""
    for path in home.glob("metrics/**/*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    report = (home / "metrics/report.md").read_text()
    assert not re.search(r"\b(nan|inf)\b", report)
    assert json.loads((home / "metrics/summary.json").read_text())
    assert (home / f"plots/explain/{MODEL}/gradcam.png").is_file()
    assert (home / "plots/compare/roc.png").is_file()
    page = (home / "plots/report/index.html").read_text(encoding="utf-8")
    assert MODEL in page
    assert not re.search(r">[^<]*\b(nan|inf|None)\b", page.partition("<script")[0])
    return json.loads((home / f"metrics/models/{MODEL}.json").read_text())["clean"]


LEAST = {
    "score__resamples": 1,
    "explain__per_group": 1,
    "explain__suites__quick__permutations": 1,
    "explain__suites__quick__activation": {"layers": 1, "channels": 1, "steps": 1},
    "explain__suites__quick__trials": {
        "images": 1, "depths": 1, "steps": 1, "fractions": [0.5], "draws": 1, "stops": 1
    },
}  # fmt: skip
FOLDERS = {
    "one real image": ({"train": (1, 4), "valid": (1, 2), "test": (1, 3)}, {"epochs": 5}),
    "batches of one": ({"train": (3, 2), "test": (2, 1)}, {"batch_size": 1}),
}
RENDERED = {
    "one person": ({"train": 2, "valid": 2, "test": 2}, {}),
    "least of everything": ({"train": 2, "valid": 2, "test": 2, "singles_per_kind": 1}, LEAST),
}


@pytest.fixture(autouse=True)
def no_warnings_of_ours():
    """What is undefined is left out on purpose, and not found out by a division by zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("name", FOLDERS)
def test_few_images_of_a_folder_reach_the_report(tmp_path, name):
    count, recipe = FOLDERS[name]
    root = folder(tmp_path / "images", **count)
    assert through(tmp_path / "work", of_folder(root, recipe=recipe)) == ("", "")
    found = complete(tmp_path / "work")
    assert (found["n_real"], found["n_fake"]) == count["test"]
    assert found["left_out"]["tpr_at_fpr_1pct"].startswith(f"{count['test'][0]} real image")


@pytest.mark.parametrize("name", RENDERED)
def test_few_rendered_images_reach_the_report(tmp_path, name):
    content, changes = RENDERED[name]
    assert through(tmp_path, of_rendered(**content, **changes)) == ("", "")
    assert complete(tmp_path)["n_real"] == content["test"] // 2
    explained = json.loads((tmp_path / f"metrics/explain/{MODEL}.json").read_text())
    assert {said["scope"] for said in explained["planted"]["verdicts"].values()} == {"none"}


REFUSED = {
    "no image": ({}, {}, "fetch", "data.root: there is no folder"),
    "one image": ({"none": (1, 0)}, {}, "split", "data.root has no fake images"),
    "two images": ({"none": (1, 1)}, {}, "split", "no usable real image is left"),
    "training set of one class": (
        {"train": (0, 3), "valid": (1, 1), "test": (1, 1)}, {},
        "split", "data.root has no real images for the split 'train'",
    ),
    "validation set of one class": (
        {"train": (2, 2), "valid": (2, 0), "test": (1, 1)}, {},
        "split", "data.root has no fake images for the split 'valid'",
    ),
    "test set of one image": (
        {"train": (2, 2), "valid": (1, 1), "test": (0, 1)}, {},
        "split", "data.root has no real images for the split 'test'",
    ),
    "no test set": (
        {"train": (2, 2), "valid": (1, 1)}, {}, "split", "train and test are both needed"
    ),
    "one image to train on": (
        {"train": (1, 1), "test": (1, 1)}, {}, "split", "is left for the split 'train'"
    ),
    "warm-up longer than the training": (
        {"train": (2, 2), "valid": (1, 1), "test": (1, 1)},
        {"recipe": {"schedule": "cosine", "warmup": 1}},
        "train", "warmup: 1 of 1 updates leave none to train with; lower warmup, or raise epochs",
    ),
    "floor above the rate": (
        {"train": (2, 2), "valid": (1, 1), "test": (1, 1)},
        {"recipe": {"stop_below": 1}}, "train", "stop_below: the first learning rate",
    ),
    "no method": (
        {"none": (1, 1)}, {"explain__suites__quick__methods": []},
        "fetch", "params.yaml: explain.suites.quick.methods",
    ),
    "too few planted": (
        {"none": (1, 1)}, {"explain__suites__quick__planted": 1},
        "fetch", "params.yaml: explain.suites.quick.planted",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_on_is_refused_in_a_line(tmp_path, name):
    count, changes, stage, reason = REFUSED[name]
    root = folder(tmp_path / "images", **count)
    refused, said = through(tmp_path / "work", of_folder(root, **changes))
    assert refused == stage
    assert reason in said
    line, _, _ = said.partition("Understood was:")  # and the folders, one to a line
    assert "\n" not in line


@pytest.mark.parametrize("lacking", ["train", "valid", "test"])
def test_a_rendered_set_without_a_split_is_refused(tmp_path, lacking):
    content = {"train": 2, "valid": 2, "test": 2} | {lacking: 0}
    refused, said = through(tmp_path, of_rendered(**content))
    assert refused == "split"
    assert "no usable real image is left for the split 'train'" in said or lacking in said
