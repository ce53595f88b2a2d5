# SPDX-License-Identifier: Apache-2.0
"""An archive that the user has: checked before it is copied."""

import pytest
from support import picture, write_zip

from facetell.common.errors import UserError
from facetell.common.files import sha256
from facetell.dataset.sources import local


def test_local_archive_is_checked_before_anything_is_written(tmp_path):
    path, target = write_zip(tmp_path / "a.zip", {"a.jpg": picture()}), tmp_path / "out/t.zip"
    with pytest.raises(UserError, match=r"data\.archive"):
        local.fetch(target, archive=tmp_path / "none.zip", expected=None)
    with pytest.raises(UserError, match=r"data\.sha256"):
        local.fetch(target, archive=path, expected="0" * 64)
    assert not target.exists()
    assert list(target.parent.iterdir()) == []
    local.fetch(target, archive=path, expected=sha256(path).upper())
    assert sha256(target) == sha256(path)
