# SPDX-License-Identifier: Apache-2.0
"""Outputs are whole or absent."""

import errno
import os

import numpy as np
import pytest

from facetell.common.errors import UserError
from facetell.common.files import whole, write_json


def test_outputs_are_whole_or_absent(tmp_path):
    def interrupted():
        with whole(tmp_path / "a.txt") as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"auc": np.nan})
    assert list(tmp_path.iterdir()) == []


def write(path):
    with whole(path) as temporary:
        temporary.write_text("all", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "cannot write .*folder: .*; "),
        ("file/below.txt", "cannot write .*below.txt: .*; "),
        ("x" * 300, "cannot write .*x: .*; give it a shorter name"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, name, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=says):
        write(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOSPC])
@pytest.mark.parametrize("what", ["mkdir", "replace"])
def test_a_folder_that_is_read_only_is_one_line(tmp_path, monkeypatch, number, what):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number), str(args[0]))

    monkeypatch.setattr(os, what, refuse)
    with pytest.raises(UserError, match=f"cannot write .*a.txt: {os.strerror(number)}; "):
        write(tmp_path / "new" / "a.txt")


def test_another_files_error_is_not_taken_for_ours(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"), whole(tmp_path / "a.txt"):
        (tmp_path / "absent").read_bytes()


@pytest.mark.parametrize("stem", ["x" * 240, "写" * 80, "gr\udcfc", "$$"])
def test_long_and_odd_names_are_written(tmp_path, stem):
    path = tmp_path / f"{stem}.txt"
    try:
        path.touch()
    except (OSError, UnicodeError):  # this system does not take the name
        return
    write(path)
    assert path.read_text(encoding="utf-8") == "all"
    assert list(tmp_path.iterdir()) == [path]
