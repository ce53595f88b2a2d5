# SPDX-License-Identifier: Apache-2.0
"""A user's folder as one archive."""

import pytest
from support import folder_entries, separable

from facetell.common.errors import UserError
from facetell.common.files import sha256
from facetell.dataset.layouts import rows
from facetell.dataset.sources import folder as folder_source
from facetell.images import archive as archives


def test_folder_source_packs_the_same_bytes_twice(tmp_path):
    root = tmp_path / "set"
    for name, data in folder_entries({"train": 2, "valid": 1, "test": 1}, separable).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "notes.txt").write_text("not an image")
    folder_source.fetch(tmp_path / "1.zip", root=root)
    folder_source.fetch(tmp_path / "2.zip", root=root)
    assert sha256(tmp_path / "1.zip") == sha256(tmp_path / "2.zip")
    with archives.open_archive(tmp_path / "1.zip") as archive:
        assert len(rows("folder", archive)) == 8
    with pytest.raises(UserError, match="there is no folder"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image"):
        folder_source.fetch(tmp_path / "3.zip", root=tmp_path / "empty")
    assert not (tmp_path / "3.zip").exists()
