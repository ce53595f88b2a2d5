# SPDX-License-Identifier: Apache-2.0
"""What was seen of images is kept: only new ones are read, and the result is as of all."""

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import folder_entries, separable, write_zip

from facetell.common.errors import UserError
from facetell.dataset import findings as stored
from facetell.dataset.findings import Findings
from facetell.dataset.inspection import Looked, look_at
from facetell.dataset.layouts import rows
from facetell.dataset.manifest import plan
from facetell.dataset.sources.folder import Folder
from facetell.dataset.thumbnails import luma, thumbnails
from facetell.images.opening import open_archive
from facetell.images.reencoding import Treatment
from facetell.images.zips import Zips

ENTRIES = folder_entries({"train": 8, "valid": 3, "test": 3}, separable)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Names of the files that are read from an archive, as they are read."""
    names: list[str] = []
    for kind in (Zips, Folder):

        def read(self, name, size=-1, read=kind.read):
            names.append(name)
            return read(self, name, size)

        monkeypatch.setattr(kind, "read", read)
    return names


def seen(path: Path, home: Path | None, **how) -> Looked:
    with open_archive(path) as archive:
        table = plan({"mine": rows("folder", archive)}, how.pop("launder", None))
    return look_at(table, {"mine": path}, findings=home, **how)


def same(one: Looked, other: Looked) -> None:
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.aside, other.aside)
    np.testing.assert_array_equal(one.hashes, other.hashes)
    everything = np.arange(len(one.table))
    np.testing.assert_array_equal(one.look(everything), other.look(everything))


def test_only_added_images_are_read(tmp_path, reads):
    path, home = write_zip(tmp_path / "set.zip", ENTRIES), tmp_path / "findings"
    seen(path, home)
    assert sorted(reads) == sorted(ENTRIES)
    added = {"train/real/new.jpg": separable(99, 0), "train/fake/new.jpg": separable(99, 1)}
    write_zip(path, ENTRIES | added)
    reads.clear()
    again = seen(path, home)
    assert sorted(reads) == sorted(added)
    same(again, seen(path, None))


def test_a_changed_image_or_treatment_is_looked_at_again(tmp_path, reads):
    path, home = write_zip(tmp_path / "set.zip", ENTRIES), tmp_path / "findings"
    seen(path, home)
    (name,) = [name for name in ENTRIES if name.endswith("train/fake/train000f.jpg")]
    write_zip(path, ENTRIES | {name: separable(99, 1)})
    reads.clear()
    seen(path, home)
    assert reads == [name]
    reads.clear()
    harmonise = Treatment(harmonise=True, size=32)
    same(seen(path, home, harmonise=harmonise), seen(path, None, harmonise=harmonise))
    assert len(reads) == 2 * len(ENTRIES)
    reads.clear()
    launder = ["presocial", "twitter"]
    same(seen(path, home, launder=launder), seen(path, None, launder=launder))


def test_thumbnails_are_those_of_the_pictures(tmp_path):
    path = write_zip(tmp_path / "set.zip", ENTRIES)
    looked = seen(path, tmp_path / "findings")
    for at in (0, 5, 9):
        picture = Image.open(io.BytesIO(ENTRIES[looked.table["path"][at]])).convert("RGB")
        np.testing.assert_array_equal(looked.look(np.array([at])), thumbnails(luma(picture)[None]))


def test_a_file_in_place_is_known_by_its_size_and_time(tmp_path, reads):
    for name, data in ENTRIES.items():
        file = tmp_path / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    with Folder(tmp_path / "mine") as archive:
        table = plan({"mine": rows("folder", archive)})
    files = {"mine": tmp_path / "mine"}
    look_at(table, files, findings=tmp_path / "findings")
    reads.clear()
    os.utime(tmp_path / "mine" / table["path"][3])
    look_at(table, files, findings=tmp_path / "findings")
    assert reads == [table["path"][3]]


def test_what_cannot_be_used_is_tried_again(tmp_path, reads):
    broken = {"train/real/broken.jpg": b"<html>"}
    path, home = write_zip(tmp_path / "set.zip", ENTRIES | broken), tmp_path / "findings"
    first = seen(path, home)
    assert first.aside["path"].tolist() == ["train/real/broken.jpg"]
    reads.clear()
    same(seen(path, home), first)
    assert reads == ["train/real/broken.jpg"]


def test_a_run_that_stops_goes_on_from_what_it_saw(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(stored, "SEGMENT", 64)
    many = folder_entries({"train": 40, "valid": 10, "test": 10}, separable)
    path, home = write_zip(tmp_path / "set.zip", many), tmp_path / "findings"
    read = Zips.read

    def stops(self, name, size=-1):
        if len(reads) == 100:
            raise UserError("stopped")
        return read(self, name, size)

    with monkeypatch.context() as patch:
        patch.setattr(Zips, "read", stops)
        with pytest.raises(UserError, match="stopped"):
            seen(path, home)
    reads.clear()
    same(seen(path, home), seen(path, None))
    assert len(reads) == 2 * len(many) - 64, "one segment was whole"


def test_damaged_findings_are_made_anew(tmp_path):
    path, home = write_zip(tmp_path / "set.zip", ENTRIES), tmp_path / "findings"
    first = seen(path, home)
    for suffix in ("arrow", "luma"):
        (file,) = home.glob(f"*.{suffix}")
        file.write_bytes(file.read_bytes()[:200])
        same(seen(path, home), first)


def test_findings_of_images_that_are_gone_are_removed(tmp_path):
    home = tmp_path / "findings"
    seen(write_zip(tmp_path / "set.zip", ENTRIES), home)
    before = set(home.iterdir())
    others = folder_entries({"train": 8, "valid": 3, "test": 3}, lambda *at: separable(*at, 48))
    seen(write_zip(tmp_path / "set.zip", others), home)
    assert len(list(home.iterdir())) == 2
    assert not before & set(home.iterdir())


def test_nothing_is_kept_without_a_folder(tmp_path):
    place = Findings().folder
    assert not place.exists()
