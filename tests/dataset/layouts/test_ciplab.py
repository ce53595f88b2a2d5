# SPDX-License-Identifier: Apache-2.0
"""Kaggle's real-and-fake-face-detection from names alone."""

from types import SimpleNamespace

import pandas as pd
import pytest
from support import built, picture

from facetell.common.errors import UserError
from facetell.dataset.layouts import rows as completed
from facetell.dataset.layouts.ciplab import REGIONS, rows

SHORT = "real_and_fake_face"
LONG = "real_and_fake_face_detection/real_and_fake_face"
IMAGES = (
    "training_real/real_00001.jpg",
    "training_real/real_00002.jpg",
    "training_fake/easy_1_1110.jpg",
    "training_fake/mid_100_0001.jpg",
    "training_fake/hard_12_1000.jpg",
)


def archive(*names: str) -> SimpleNamespace:
    return SimpleNamespace(names=sorted(names), label="faces.zip")


def read(*names: str) -> pd.DataFrame:
    return rows(archive(*names)).set_index("path")


def test_the_published_tree_is_taken_once():
    table = read(*(f"{root}/{image}" for root in (LONG, SHORT) for image in IMAGES))
    assert sorted(table.index) == sorted(f"{SHORT}/{image}" for image in IMAGES)
    assert (table["person"] == table.index).all()
    assert (table["id"] == table.index).all()
    assert set(table["split"]) == {""}
    assert set(table["platform"]) == {"presocial"}
    real, fake = table[table["label"] == 0], table[table["label"] == 1]
    assert set(real["generator"]) == set(real["regions"]) == {""}
    assert fake.sort_index()["generator"].tolist() == ["splice-easy", "splice-hard", "splice-mid"]


def test_an_image_that_only_the_second_tree_has_is_taken_too():
    table = read(*(f"{SHORT}/{image}" for image in IMAGES[1:]), f"{LONG}/{IMAGES[0]}")
    assert len(table) == len(IMAGES)


@pytest.mark.parametrize(
    ("bits", "regions"),
    [
        ("1000", "left_eye"),
        ("0100", "right_eye"),
        ("0010", "nose"),
        ("0001", "mouth"),
        ("1101", "left_eye+right_eye+mouth"),
        ("1111", "+".join(REGIONS)),
    ],
)
def test_bits_are_regions(bits, regions):
    name = f"training_fake/mid_7_{bits}.jpg"
    assert read(*IMAGES, name).loc[name, "regions"] == regions


@pytest.mark.parametrize("name", ["hard_3.jpg", "me.png", "easy_1_0000.jpg", "mid_1_11111.jpg"])
def test_a_fake_without_bits_is_a_fake_of_unknown_regions(name):
    found = read(*IMAGES, f"training_fake/{name}").loc[f"training_fake/{name}"]
    assert found[["label", "regions", "generator"]].tolist() == [1, "", "splice"]


def test_odd_names():
    table = read(
        *IMAGES[:3],
        "training_fake/easy_1_1110 (1).jpg",  # a copy
        "Training_Fake/HARD_2_0110.JPG",
        "training_fake/._mid_1_1111.jpg",
        "__MACOSX/training_fake/mid_1_1111.jpg",
        "training_fake/Thumbs.db",
        "real_and_fake_face/cover.jpg",
        "cover.jpg",
    )
    assert len(table) == 4
    assert table.loc["Training_Fake/HARD_2_0110.JPG", "regions"] == "right_eye+nose"
    assert len(read(*(f"./{image}" for image in IMAGES))) == len(IMAGES)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), r"faces\.zip has no real images.*training_real"),
        (IMAGES[:2], r"faces\.zip has no fake images.*training_fake"),
        (IMAGES[2:], r"has no real images"),
        ((IMAGES[0], "training_fake/1.jpg"), r"no image in training_fake is named like"),
    ],
)
def test_other_sets_are_refused(names, says):
    with pytest.raises(UserError, match=says):
        read(*names)


def test_the_frame_suits_the_caller():
    table = completed("ciplab", archive(*IMAGES))
    assert set(table["stem"]) == {""}
    assert table["psi"].isna().all()


def test_the_regions_reach_the_manifest(tmp_path):
    entries = {f"training_real/real_{n:05d}.jpg": picture(n) for n in range(20)}
    bits = ("1000", "0110", "1111", "0001")
    for n in range(20):
        entries[f"training_fake/mid_{n}_{bits[n % 4]}.jpg"] = picture(100 + n)
    manifest = built(tmp_path, entries, "ciplab", valid=0.2, test=0.2).manifest
    fakes = manifest[manifest["label"] == 1]
    assert fakes["regions"].value_counts().to_dict() == dict.fromkeys(
        ("left_eye", "right_eye+nose", "left_eye+right_eye+nose+mouth", "mouth"), 5
    )
    assert set(manifest.loc[manifest["label"] == 0, "regions"]) == {""}
    assert set(manifest["split"]) == {"train", "valid", "test"}
