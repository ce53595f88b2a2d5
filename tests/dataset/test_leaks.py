# SPDX-License-Identifier: Apache-2.0
"""Leaks: what shows the same face on two sides of a split is found, listed and dropped."""

import io
from dataclasses import replace

import pytest
from PIL import Image
from support import built, encoded, folder_entries, picture, separable, write_zip

from facetell.common.errors import UserError
from facetell.dataset import neighbours
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.leaks import BOTH_LABELS, COPY, INSIDE, OTHER_LABEL, effective, gate, worth
from facetell.dataset.splits import Splitting
from facetell.images.opening import open_archive

SPLITTING = Splitting(valid=0, test=0, seed=0)


def leaking(kind: str) -> dict[str, bytes]:
    """A folder set in which one test image is in training too, in one way or another."""
    entries = folder_entries({"train": 6, "valid": 4, "test": 4}, separable)
    secret = picture(77, (128, 128), "PNG")
    image = Image.open(io.BytesIO(secret))
    if kind == "near copy":
        image = image.resize((96, 96))
    if kind == "mirror":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    entries["test/real/secret.png"] = secret
    entries["train/real/other.jpg"] = secret if kind == "same file" else buffer.getvalue()
    return entries


@pytest.mark.parametrize("kind", ["same file", "near copy", "mirror"])
def test_a_picture_on_both_sides_is_a_leak(tmp_path, kind):
    found = built(tmp_path, leaking(kind))
    assert found.leaks["kind"].to_list() == [kind if kind == "same file" else COPY]
    row = found.leaks.iloc[0]
    assert (row["split"], row["id"]) == ("train", "folder/train/real/other.jpg")
    assert (row["other_split"], row["other_id"]) == ("test", "folder/test/real/secret.png")
    with pytest.raises(UserError, match=r"leak: .* leaks\.csv.*leaks=drop"):
        gate(found.leaks, "fail", "leaks.csv")
    kept = built(tmp_path, leaking(kind), drop=True).manifest
    assert set(found.manifest["id"]) - set(kept["id"]) == {"folder/train/real/other.jpg"}
    again = built(tmp_path, leaking(kind), drop=True)
    gate(again.leaks, "drop", "leaks.csv")


def test_the_same_picture_twice_in_one_split_is_listed_but_no_leak(tmp_path):
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    entries["train/real/a.jpg"] = entries["train/real/b.jpg"] = picture(5, (128, 128))
    smaller = Image.open(io.BytesIO(picture(5, (128, 128)))).resize((96, 96))
    entries["train/real/c.jpg"] = encoded(smaller, "JPEG")
    found = built(tmp_path, entries)
    pairs = found.leaks[["kind", "id", "other_id"]].to_numpy().tolist()
    assert pairs[0] == [INSIDE["file"], "folder/train/real/a.jpg", "folder/train/real/b.jpg"]
    assert {kind for kind, *_ in pairs[1:]} == {INSIDE["copy"]}
    gate(found.leaks, "fail", "leaks.csv")
    assert effective(found.manifest, found.leaks) == {"train": 9, "valid": 8, "test": 8}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("mode", ["fail", "drop"])
def test_one_file_with_both_labels_stops_the_run(tmp_path, split, mode):
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    entries[f"{split}/fake/a.jpg"] = entries["train/real/train000r.jpg"]
    found = built(tmp_path, entries, drop=mode == "drop")
    row = found.leaks.iloc[0]
    assert row["kind"] == BOTH_LABELS
    assert {row["id"], row["other_id"]} == {
        f"folder/{split}/fake/a.jpg", "folder/train/real/train000r.jpg"
    }  # fmt: skip
    with pytest.raises(UserError, match="1 pairs of images are one file, once called real and"):
        gate(found.leaks, mode, "leaks.csv")


def test_a_fake_that_keeps_most_of_its_photo_is_listed_and_stops_nothing(tmp_path):
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    photo = Image.open(io.BytesIO(picture(9, (128, 128), "PNG")))
    entries["train/real/p.png"] = encoded(photo)
    photo.paste((200, 30, 30), (60, 60, 68, 68))
    entries["train/fake/p.png"] = encoded(photo)
    found = built(tmp_path, entries)
    assert found.leaks["kind"].tolist() == [OTHER_LABEL]
    gate(found.leaks, "fail", "leaks.csv")


def test_a_person_or_ffhq_photo_on_both_sides_is_a_leak(tmp_path):
    """Two sets with official splits share a photo: one trains on it, the other tests it."""
    raw = tmp_path / "raw"
    tables = {}
    for name, side in (("one", "train"), ("two", "test")):
        entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
        entries = {path: picture(hash((name, path)) % 2**31) for path in entries}
        (raw / name).mkdir(parents=True)
        with open_archive(write_zip(raw / name / "s.zip", entries)) as archive:
            tables[name] = rows("folder", archive)
        where = (tables[name]["split"] == side) & (tables[name]["label"] == 0)
        tables[name].loc[where[where].index[0], "ffhq_id"] = 168
    files = {name: raw / name for name in tables}
    found = build(tables, files, SPLITTING)
    assert found.leaks["kind"].tolist() == ["same FFHQ photo"]
    assert found.leaks[["split", "other_split"]].iloc[0].tolist() == ["train", "test"]
    dropped = build(tables, files, replace(SPLITTING, drop=True)).manifest
    assert dropped["ffhq_id"].notna().sum() == 1
    tables["two"].loc[:, "person"] = "somebody"
    kinds = build(tables, files, SPLITTING).leaks["kind"]
    assert set(kinds) == {"same person", "same FFHQ photo"}


def test_unsplit_sets_never_leak(tmp_path):
    """Copies are found before the draw, and stay together."""
    entries = {}
    for number in range(40):
        label = ("real", "fake")[number % 2]
        entries[f"{label}/{number}.png"] = picture(number, (96, 96), "PNG")
        entries[f"{label}/{number}-copy.jpg"] = picture(number, (96, 96), quality=50)
    found = built(tmp_path, entries, valid=0.2, test=0.2, seed=1)
    manifest = found.manifest
    assert set(found.leaks["kind"]) == {INSIDE["copy"]}
    assert found.leaking == 0
    face = manifest["path"].str.extract(r"(\d+)")[0]
    assert (manifest.groupby(face)["split"].nunique() == 1).all()
    assert set(manifest["split"]) == {"train", "valid", "test"}


def test_of_a_cluster_in_a_large_set_every_copy_goes(tmp_path, monkeypatch):
    """Each is paired with a few of those before it only: the others are tied by a chain."""
    monkeypatch.setattr(neighbours, "EXACT", 10)
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    photo = Image.open(io.BytesIO(picture(5, (128, 128), "PNG")))
    entries["test/real/photo.png"] = encoded(photo)
    for quality in range(40, 80):
        entries[f"train/real/photo{quality}.jpg"] = encoded(photo, "JPEG", quality=quality)
    found = built(tmp_path, entries)
    listed = found.leaks.loc[found.leaks["kind"] == COPY, "id"].nunique()
    assert listed < found.leaking == 40
    assert "40 images" in worth(found.leaks, found.leaking, "drop", "leaks.csv")[0]
    left = built(tmp_path, entries, drop=True).manifest["path"]
    assert left[left.str.contains("photo")].tolist() == ["test/real/photo.png"]
