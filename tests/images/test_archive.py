# SPDX-License-Identifier: Apache-2.0
"""Archives: what is not to be trusted is refused, and a damaged entry is not the end."""

import pytest
from support import picture, write_zip

from facetell.common.errors import UserError
from facetell.images.decoding import Unusable
from facetell.images.opening import open_archive


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil.jpg", "a/../../b.jpg", "C:\\evil.jpg"])
def test_entries_that_point_outside_are_refused(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {"real/a.jpg": b"", name: b""})
    with pytest.raises(UserError, match="points outside"):
        open_archive(path)


def test_missing_and_truncated_archives(tmp_path):
    with pytest.raises(UserError, match="missing"):
        open_archive(tmp_path / "none.zip")
    path = write_zip(tmp_path / "a.zip", {"a.jpg": picture()})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="cut off"):
        open_archive(path)


def test_a_damaged_entry_is_unusable_not_fatal(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.jpg": picture(), "b.jpg": picture(1)})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(bytes(data))
    with open_archive(path) as archive:
        with pytest.raises(Unusable, match="damaged"):
            archive.read("a.jpg")
        with pytest.raises(Unusable, match="not in the archive"):
            archive.read("c.jpg")
        assert archive.read("b.jpg") == picture(1)
