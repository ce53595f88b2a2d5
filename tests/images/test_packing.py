# SPDX-License-Identifier: Apache-2.0
"""Packed files: the original bytes, in the order of the manifest, and the same ones again."""

import pytest
from support import built, folder_entries, separable

from facetell.common.errors import UserError
from facetell.images.opening import open_archive
from facetell.images.packed import Packed
from facetell.images.packing import pack


def test_packed_images_are_the_original_bytes_in_manifest_order(packed_set, manifest):
    packed = Packed(packed_set / "train")
    part = manifest[manifest["split"] == "train"]
    assert list(packed.ids) == list(part["id"])
    assert (packed.labels == part["label"].to_numpy()).all()
    with open_archive(packed_set / "raw/folder") as archive:
        for index, path in enumerate(part["path"]):
            assert packed.image(index) == archive.read(path)
    assert packed.mask(0) is None


@pytest.mark.parametrize("column", ["mask", "twin"])
def test_a_missing_companion_of_an_image_is_one_error(tmp_path, column):
    entries = folder_entries({"train": 3, "valid": 2, "test": 2}, separable)
    manifest = built(tmp_path, entries).manifest
    manifest.loc[0, column] = "gone.png"
    with pytest.raises(UserError, match=r"gone\.png"):
        pack([manifest], {"folder": tmp_path / "raw/folder"}, tmp_path / "all")
    assert list((tmp_path / "all").iterdir()) == []
