# SPDX-License-Identifier: Apache-2.0
"""A user's folders: which names are understood, and what is missing."""

import pytest
from support import picture, write_zip

from facetell.common.errors import UserError
from facetell.dataset.layouts import rows
from facetell.images.opening import open_archive


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["train/real/a.jpg", "test/real/b.jpg", "test/fake/c.jpg"], "no fake"),
        (["fake/a.jpg", "fake/b.jpg"], "no real"),
        (["photos/a.jpg"], "real and fake"),
        (["valid/real/a.jpg", "valid/fake/b.jpg"], "train and test are both needed"),
    ],
)
def test_folders_without_a_class_or_split(tmp_path, names, says):
    path = write_zip(tmp_path / "a.zip", {name: picture() for name in names})
    with open_archive(path) as archive, pytest.raises(UserError, match=says):
        rows("folder", archive)


@pytest.mark.parametrize("synthetic", ["fake", "Synthetic"])
@pytest.mark.parametrize("valid", ["val", "valid", "validation"])
def test_folder_names_are_understood(tmp_path, synthetic, valid):
    names = [
        f"set/{s}/{c}/x{i}.png"
        for s in ("train", valid, "test")
        for c in ("real", synthetic)
        for i in range(2)
    ]
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(names, b""))
    with open_archive(path) as archive:
        table = rows("folder", archive)
    assert sorted(set(table["split"])) == ["test", "train", "valid"]
    assert (table["label"] == table["path"].str.contains(synthetic)).all()
