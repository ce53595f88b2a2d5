# SPDX-License-Identifier: Apache-2.0
"""Listings of zips: that of a large one is kept, and serves until the zip changes."""

import os
import zipfile

import pytest

from facetell.common.errors import UserError
from facetell.common.files import cached
from facetell.images import zip_listing
from facetell.images.decoding import Unusable
from facetell.images.opening import open_archive

CONTENT = {f"real/{number:03}.txt": f"number {number}" * 9 for number in range(40)}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A cache of its own, in which listings of twenty entries are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(zip_listing, "LARGE", 20)


def written(path, content=CONTENT, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, text in content.items():
            file.writestr(name, text)
    return path


def contents(path) -> dict[str, str]:
    with open_archive(path) as archive:
        return {name: archive.read(name).decode() for name in archive.names}


def unread(monkeypatch) -> None:
    """Whoever reads a listing from here on fails."""
    monkeypatch.setattr(zip_listing, "_read", lambda path: pytest.fail(f"{path} is read again"))


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_what_a_kept_listing_names_is_read_and_nothing_else(tmp_path, monkeypatch, kind):
    path = written(tmp_path / "set.zip", kind=kind)
    assert contents(path) == CONTENT
    with open_archive(path) as archive:
        before = [archive.identity(name) for name in archive.names]
    unread(monkeypatch)
    assert contents(path) == CONTENT
    with open_archive(path) as archive:
        assert [archive.identity(name) for name in archive.names] == before
        with pytest.raises(Unusable, match="not in the archive"):
            archive.read("real/another.txt")
    path.rename(tmp_path / "moved.zip")  # closed: Windows would refuse


def test_a_zip_that_has_changed_is_listed_anew(tmp_path):
    path = written(tmp_path / "set.zip")
    contents(path)
    other = {name: text.replace("number", "figure") for name, text in CONTENT.items()}
    written(path, other)
    os.utime(path, ns=(1, 1))
    assert contents(path) == other


def test_several_zips_are_told_apart(tmp_path, monkeypatch):
    other = {name: text.upper() for name, text in CONTENT.items()}
    written(tmp_path / "a.zip")
    written(tmp_path / "b.zip", other)
    expected = {f"a/{name}": text for name, text in CONTENT.items()}
    expected |= {f"b/{name}": text for name, text in other.items()}
    assert contents(tmp_path) == expected
    unread(monkeypatch)
    assert contents(tmp_path) == expected


def test_damage_after_it_was_listed_is_found(tmp_path):
    path = written(tmp_path / "set.zip", kind=zipfile.ZIP_STORED)
    contents(path)
    said = path.stat()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"number 7", b"number 8"))
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
    with open_archive(path) as archive, pytest.raises(Unusable, match="damaged in the archive"):
        archive.read("real/007.txt")


@pytest.mark.parametrize("name", ["../up.txt", "/root.txt", "C:/x.txt"])
def test_what_points_outside_is_never_kept(tmp_path, name):
    path = written(tmp_path / "set.zip", CONTENT | {name: "secret"})
    for _ in range(2):
        with pytest.raises(UserError, match="points outside"):
            open_archive(path)


def test_names_with_backslashes_and_damaged_listings_are_read_each_time(tmp_path):
    path = written(tmp_path / "set.zip", {"real\\" + name[5:]: t for name, t in CONTENT.items()})
    assert contents(path) == contents(path) == CONTENT
    path = written(tmp_path / "other.zip")
    contents(path)
    for file in cached("zips").glob("*.npy"):
        file.write_bytes(b"no array")
    assert contents(path) == CONTENT


def test_few_listings_are_kept_and_none_of_small_zips(tmp_path, monkeypatch):
    monkeypatch.setattr(zip_listing, "MOST", 2)
    for number in range(4):
        contents(written(tmp_path / f"{number}.zip"))
    assert len(list(cached("zips").iterdir())) == 4
    contents(written(tmp_path / "small.zip", {"a.txt": "a"}))
    assert len(list(cached("zips").iterdir())) == 4
