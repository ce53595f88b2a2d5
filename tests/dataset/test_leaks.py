# SPDX-License-Identifier: Apache-2.0
"""Leaks: what shows the same face on two sides of a split is found, listed and dropped."""

import io
from dataclasses import replace

import pytest
from PIL import Image
from support import built, folder_entries, picture, separable, write_zip

from facetell.common.errors import UserError
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.leaks import COPY, gate
from facetell.dataset.splits import Splitting
from facetell.images.archive import open_archive

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


def test_the_same_picture_twice_in_one_split_is_no_leak(tmp_path):
    entries = folder_entries({"train": 4, "valid": 4, "test": 4}, separable)
    entries["train/real/a.jpg"] = entries["train/real/b.jpg"] = picture(5)
    assert len(built(tmp_path, entries).leaks) == 0


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
    found = build(tables, raw, SPLITTING)
    assert found.leaks["kind"].tolist() == ["same FFHQ photo"]
    assert found.leaks[["split", "other_split"]].iloc[0].tolist() == ["train", "test"]
    dropped = build(tables, raw, replace(SPLITTING, drop=True)).manifest
    assert dropped["ffhq_id"].notna().sum() == 1
    tables["two"].loc[:, "person"] = "somebody"
    kinds = build(tables, raw, SPLITTING).leaks["kind"]
    assert set(kinds) == {"same person", "same FFHQ photo"}


def test_unsplit_sets_never_leak(tmp_path):
    """Copies are found before the draw, and stay together."""
    entries = {}
    for number in range(40):
        label = ("real", "fake")[number % 2]
        entries[f"{label}/{number}.png"] = picture(number, (96, 96), "PNG")
        entries[f"{label}/{number}-copy.jpg"] = picture(number, (96, 96), quality=50)
    manifest, _, leaks = built(tmp_path, entries, valid=0.2, test=0.2, seed=1)
    assert len(leaks) == 0
    face = manifest["path"].str.extract(r"(\d+)")[0]
    assert (manifest.groupby(face)["split"].nunique() == 1).all()
    assert set(manifest["split"]) == {"train", "valid", "test"}
