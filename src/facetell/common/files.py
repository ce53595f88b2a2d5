# SPDX-License-Identifier: Apache-2.0
"""Outputs are written whole or not at all: under a temporary name, then renamed."""

import errno
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from facetell.common.errors import REMEDIES, UserError, printable, remedied

if TYPE_CHECKING:
    import pandas as pd

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LONGEST_STEM = 200  # bytes


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the name when the block succeeds.

    Raises
    ------
    UserError : the disk is full, or the place may not be written; ``path`` is as it was before.

    >>> with whole("new/notes.txt") as temporary:
    ...     temporary.write_text("all of it")
    9
    >>> Path("new/notes.txt").read_text()
    'all of it'
    """
    path = Path(path)
    # the suffix stays last: writers such as matplotlib choose the format by it
    temporary = path.with_name(f".{_short(path)}.{os.getpid()}.part{path.suffix}")
    with _explained(path, temporary):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            clear(path.parent, glob.escape(_short(path)), glob.escape(path.suffix))
            yield temporary
            os.replace(temporary, path)
        finally:
            with suppress(OSError):  # such as that the name is too long
                temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """The same of a folder: what was there is replaced when the block succeeds.

    >>> with whole_folder("new/lists") as temporary:
    ...     write_text(temporary / "notes.txt", "all of it")
    >>> [file.name for file in Path("new/lists").iterdir()]
    ['notes.txt']
    """
    path = Path(path)
    temporary, old = (
        path.with_name(f".{path.name}.{os.getpid()}{end}") for end in (".part", ".old")
    )
    with _explained(path, temporary):
        try:
            clear(path.parent, glob.escape(path.name), "")
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _explained(path: Path, temporary: Path) -> Iterator[None]:
    """Errors of writing ``path`` in words."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"cannot write {printable(path)}: {os.strerror(error.errno)}; make room and run "
                "again, what was there before is unchanged"
            ) from error
        files = (temporary, path, *path.parents)
        ours = error.filename is None or Path(os.fsdecode(error.filename)) in files
        if not ours or error.errno not in REMEDIES:
            raise
        raise UserError(f"cannot write {printable(path)}: {remedied(error)}") from error


def _short(path: Path) -> str:
    """The stem, or what stands for one that leaves no room for more in a name of 255 bytes."""
    stem = os.fsencode(path.stem)
    return path.stem if len(stem) <= LONGEST_STEM else hashlib.sha256(stem).hexdigest()


def clear(folder: Path, stem: str = "*", suffix: str = "*") -> None:
    """Remove what writers to ``folder`` left that were killed; those of living processes stay."""
    for left in folder.glob(f".{stem}.*.part{suffix}"):
        writer = left.name.rpartition(".part")[0].rpartition(".")[2]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def rounded(value: Any, digits: int) -> Any:
    """Round every float of nested dicts and lists; other values stay as they are.

    >>> rounded({"auc": [0.12345, None]}, 2)
    {'auc': [0.12, None]}
    """
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return round(value, digits) if isinstance(value, float) else value


def write_text(path: str | Path, text: str) -> None:
    """Write ``text``, the same bytes on every operating system."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any, digits: int = 6) -> None:
    """Write ``value`` as JSON, floats rounded; NaN and infinity raise ValueError."""
    text = json.dumps(rounded(value, digits), indent=2, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: str | Path) -> Any:
    """The value of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_csv(path: str | Path, table: "pd.DataFrame", digits: int | None = None) -> None:
    """Write ``table`` as CSV without its index, floats to so many significant digits (None: all
    that are needed).

    >>> import pandas as pd
    >>> write_csv("new/table.csv", pd.DataFrame({"model": ["resnet50"], "auc": [0.12345]}), 3)
    >>> print(Path("new/table.csv").read_text(), end="")
    model,auc
    resnet50,0.123
    """
    form = None if digits is None else f"%.{digits}g"
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format=form, lineterminator="\n")


def cached(name: str) -> Path:
    """A file that is kept for this user between runs: in ``$XDG_CACHE_HOME/facetell``, or in
    ``~/.cache/facetell`` if that is not set.

    >>> cached("precision.json").parent.name
    'facetell'
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "facetell" / name


def sha256(path: str | Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
