# SPDX-License-Identifier: Apache-2.0
"""The photos that a user means: files, folders, patterns, and what comes on standard input."""

import glob
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from facetell.common.errors import UserError, printable
from facetell.dataset.sources.folder import LISTINGS, wanted
from facetell.images.decoding import looks_like_an_image

STDIN = "-"
Source = Path | bytes


def sources(given: Sequence[str]) -> list[tuple[str, Source]]:
    """Pairs of a name to show and the photo's path, or its bytes from standard input.

    A folder stands for the images below it, in their order; a pattern for what fits it; ``-`` for
    the photo on standard input, or for the paths there, one a line.

    Raises
    ------
    UserError : a folder, a pattern or standard input without any photo. That a file is missing is
        said by whoever reads it.
    """
    found: list[tuple[str, Source]] = []
    for word in given:
        found += _from_stdin() if word == STDIN else [(str(path), path) for path in _files(word)]
    return found


def _files(word: str) -> Iterator[Path]:
    path = Path(word)
    if path.is_dir():
        yield from _below(path)
    elif path.exists() or not glob.has_magic(word):
        yield path
    else:
        fits = sorted(glob.glob(word, recursive=True))
        if not fits:
            raise UserError(f"nothing fits the pattern {printable(word)}")
        for one in map(Path, fits):
            yield from _below(one) if one.is_dir() else [one]


def _below(folder: Path) -> list[Path]:
    files = sorted(path for path in wanted(folder, Counter()) if path.suffix not in LISTINGS)
    if not files:
        raise UserError(f"there is no image in the folder {printable(folder)}")
    return files


def _from_stdin() -> list[tuple[str, Source]]:
    data = sys.stdin.buffer.read()
    if looks_like_an_image(data[:64]):
        return [("standard input", data)]
    names = data.decode("utf-8", "surrogateescape").splitlines()
    found: list[tuple[str, Source]] = [(name, Path(name)) for name in names if name.strip()]
    if not found:
        raise UserError("standard input has neither a photo nor the paths of some")
    return found
