# SPDX-License-Identifier: Apache-2.0
"""A user's folder as one archive."""

import os
from pathlib import Path

import pytest
from support import folder_entries, picture, separable

from facetell.common.errors import UserError
from facetell.common.files import sha256
from facetell.dataset.layouts import listing, rows
from facetell.dataset.sources import folder as folder_source
from facetell.images.opening import open_archive


def test_links_are_followed_once_and_nothing_vanishes(tmp_path):
    root, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    for folder, count in ((root / "real", 3), (elsewhere, 4)):
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}").write_bytes(picture(number + 10 * count))  # no ending
    (root / "fake").symlink_to(elsewhere)
    (root / "real/again").symlink_to(elsewhere)
    (elsewhere / "loop").symlink_to(elsewhere)
    (root / "real/.thumbs").mkdir()
    (root / "real/.thumbs/1.jpg").write_bytes(picture(1))
    (root / "real/broken.jpg").symlink_to(tmp_path / "nowhere")
    (root / "notes.txt").write_text("words", encoding="utf-8")
    folder_source.fetch(tmp_path / "1.zip", root=root)
    with open_archive(tmp_path / "1.zip") as archive:
        listed = listing("folder", archive)
    assert listed.table["label"].value_counts().to_dict() == {1: 4, 0: 3}
    assert listed.ignored == {
        "files that may not be read": 1,
        "hidden or system files": 1,
        "links to folders that are there already": 2,
        "txt files": 1,
    }
    assert listed.seen == 7 + 5


def test_names_that_are_no_utf_8_are_packed(tmp_path):
    for name in (b"real/\xff.jpg", b"fake/\xe9\xe9.jpg"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/set/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(len(name)))
    folder_source.fetch(tmp_path / "1.zip", root=tmp_path / "set")
    with open_archive(tmp_path / "1.zip") as archive:
        assert archive.names == ["fake/%E9%E9.jpg", "real/%FF.jpg"]


def test_folder_source_packs_the_same_bytes_twice(tmp_path):
    root = tmp_path / "set"
    for name, data in folder_entries({"train": 2, "valid": 1, "test": 1}, separable).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "notes.txt").write_text("not an image")
    folder_source.fetch(tmp_path / "1.zip", root=root)
    folder_source.fetch(tmp_path / "2.zip", root=root)
    assert sha256(tmp_path / "1.zip") == sha256(tmp_path / "2.zip")
    with open_archive(tmp_path / "1.zip") as archive:
        assert len(rows("folder", archive)) == 8
    with pytest.raises(UserError, match="there is no folder"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "empty")
    assert not (tmp_path / "3.zip").exists()
