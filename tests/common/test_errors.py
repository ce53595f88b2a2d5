# SPDX-License-Identifier: Apache-2.0
"""What users read: one line that names the file and what to do, whatever its name is made of."""

import errno
import io
import os
import sys

import pytest

from facetell.common.errors import REMEDIES, UserError, in_words, print_anything, printable


@pytest.mark.parametrize("number", REMEDIES)
def test_errors_of_files_name_the_file_and_what_to_do(number):
    line = in_words(OSError(number, os.strerror(number), "a/b.jpg"))
    assert line == f"a/b.jpg: {os.strerror(number)}; {REMEDIES[number]}"


def test_errors_that_are_ours_are_none_of_the_users():
    assert in_words(ValueError("a mistake")) is None
    assert in_words(OSError("no number")) is None
    assert in_words(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None


def test_of_two_files_the_one_to_be_written_is_named():
    error = OSError(errno.EACCES, "Permission denied", "temporary", None, "b.png")
    assert str(in_words(error)).startswith("b.png: Permission denied")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("schöne Grüße 日本.jpg", "schöne Grüße 日本.jpg"),
        ("gr\udcfc\udcdfe.jpg", r"gr\xfc\xdfe.jpg"),
        ("a\nfacetell: all is well", r"a\nfacetell: all is well"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("half\ud83d", r"half\ud83d"),
    ],
)
def test_a_name_is_shown_as_it_is_and_does_nothing(name, shown):
    assert printable(name) == shown
    assert in_words(UserError(name)) == "\n".join(map(printable, name.split("\n")))
    printable(name).encode()


def test_printing_does_not_fail_on_a_terminal_of_another_encoding(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    print_anything()
    print("日本 gr\udcfc", flush=True)
    assert written.getvalue().rstrip() == rb"\u65e5\u672c gr\udcfc"
