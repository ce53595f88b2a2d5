# SPDX-License-Identifier: Apache-2.0
"""How a stage ends: in one line where the user can mend it, with a traceback where we must."""

import errno
import os

import pytest

from facetell.common.errors import UserError
from pipeline.stage import run

FILE = "a\udcfc/b.jpg"


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOENT, errno.ENOTDIR],
)
def test_a_file_that_cannot_be_used_is_one_line(number, monkeypatch):
    def main():
        raise OSError(number, os.strerror(number), FILE)

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit) as end:
        run(main)
    said = str(end.value.code)
    assert said.startswith(rf"facetell: a\xfc/b.jpg: {os.strerror(number)}; ")
    assert len(said.splitlines()) == 1
    said.encode()


def test_a_users_error_is_its_own_words(monkeypatch):
    def main():
        raise UserError(f"{FILE} is no archive\nget it again")

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(SystemExit, match=r"^facetell: a.xfc/b.jpg is no archive\nget it again$"):
        run(main)


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def main():
        raise ValueError("a mistake")

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(ValueError, match="a mistake"):
        run(main)
