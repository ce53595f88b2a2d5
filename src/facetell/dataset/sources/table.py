# SPDX-License-Identifier: Apache-2.0
"""A user's table: kept as words, and the images that it lists packed into one uncompressed zip."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd
import pyarrow as pa

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.dataset.census import UNLISTED, kind_of
from facetell.dataset.hints import Hints
from facetell.dataset.listed import LISTING, NAMED, STORED, needed, words
from facetell.dataset.sources.folder import LISTINGS, list_files, pack, portable, wanted

SEPARATORS = {".csv": ",;\t", ".tsv": "\t"}  # one of them; Excel writes ; in half of Europe


def fetch(target: Path, *, table: Path, hints: Hints, root: Path | None = None) -> None:
    """Store the images that ``table`` lists in ``target`` (zip), and the table beside it.

    Paths in the table are absolute, or start at ``root``, or at the table's folder where that is
    None. What else lies below ``root`` is counted.

    Raises
    ------
    UserError : there is no such table or folder, or none of the listed files is there; or what
        ``listing`` refuses.
    """
    frame, files, left_out = _found(table, hints, root)
    pack(target, files, left_out, str(table))
    _store(frame, target.parent)


def in_place(folder: Path, table: Path, hints: Hints, root: Path | None = None) -> None:
    """Write to ``folder`` the table, and a list of its images for ``folder.Listed``.

    Raises
    ------
    UserError : as ``fetch`` does.
    """
    frame, files, left_out = _found(table, hints, root)
    list_files(folder, files, left_out, str(table))
    _store(frame, folder)


def _found(
    table: Path, hints: Hints, root: Path | None
) -> tuple[pd.DataFrame, list[tuple[str, Path]], Counter[str]]:
    """The listing, the files of it that are there, and what else lies below ``root``."""
    if root is not None and not root.is_dir():
        raise UserError(f"data.root: there is no folder {root}")
    frame, located = listed(table, hints, root)
    files = [(stored, path) for stored, path in sorted(located.items()) if path.is_file()]
    if not files:
        raise UserError(
            f"{table}: none of its {len(frame):,} images is there, such as "
            f"{next(iter(located.values()))}; say where the paths start: data.root=FOLDER, or "
            "data.archive=PATH.zip"
        )
    left_out: Counter[str] = Counter()
    if root is not None:
        for path in wanted(_base(table, root), left_out, located.keys()):
            suffix = path.suffix.lower()
            left_out[kind_of(suffix) if suffix in LISTINGS else UNLISTED] += 1
    return frame, files, left_out


def listed(table: Path, hints: Hints, root: Path | None) -> tuple[pd.DataFrame, dict[str, Path]]:
    """The ``listing``, and where its images lie by the names under which they are stored.

    Raises
    ------
    UserError : what ``listing`` refuses.
    """
    base = _base(table, root)
    located: dict[str, Path] = {}

    def name(said: str) -> str:
        path = _located(said, base)
        start = base if path.is_relative_to(base) else Path(path.anchor)
        stored = portable(path.relative_to(start).as_posix())
        located[stored] = path
        return stored

    return listing(table, hints, name), located


def _base(table: Path, root: Path | None) -> Path:
    return Path(os.path.abspath(root or table.parent))


def beside(target: Path, *, table: Path, hints: Hints) -> None:
    """Store ``table``, whose paths are those in the archive ``target``, beside it.

    Raises
    ------
    UserError : what ``listing`` refuses.
    """
    _store(listing(table, hints, _in_archive), target.parent)


def listing(table: Path, hints: Hints, name: Callable[[str], str]) -> pd.DataFrame:
    """The table's columns as words, and ``STORED``: by ``name`` of what it says.

    Raises
    ------
    UserError : it is missing, unreadable or empty, has no column of paths, or lists an image twice.
    """
    frame = read(table)
    where = needed(frame.columns, "path", hints, str(table))
    if (empty := frame[where] == "").any():
        raise UserError(f"{table}: row {int(empty.argmax()) + 1} has no {where}")
    frame[STORED] = [name(said) for said in frame[where]]
    if (twice := frame[STORED].duplicated(keep=False)).any():
        first = frame.loc[twice, STORED].iloc[0]
        at = [int(row) + 1 for row in (frame[STORED] == first).to_numpy().nonzero()[0]]
        raise UserError(
            f"{table}: {frame.loc[twice, where].iloc[0]} is listed more than once, in the rows "
            f"{', '.join(map(str, at[:5]))}: keep one of them"
        )
    frame.attrs[NAMED] = str(table)
    return frame


def read(table: Path) -> pd.DataFrame:
    """A CSV, TSV or Parquet file as words, "" where a value is missing.

    Raises
    ------
    UserError : it is missing, of another kind, cannot be read, or has no rows.

    >>> Path("mine.csv").write_text("path;label\\na.png;real\\n", encoding="utf-8")
    22
    >>> read(Path("mine.csv")).to_dict("records")
    [{'path': 'a.png', 'label': 'real'}]
    """
    suffix = table.suffix.lower()
    if suffix not in (*SEPARATORS, ".parquet"):
        raise UserError(f"data.table: {table} is not a .csv, .tsv or .parquet file")
    if not table.is_file():
        raise UserError(f"data.table: there is no file {table}")
    try:
        frame = pd.read_parquet(table) if suffix == ".parquet" else _text(table, suffix)
    except UnicodeDecodeError as error:
        raise UserError(f"data.table: {table} is not UTF-8: save it as UTF-8") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"data.table: {table} cannot be read: {' '.join(str(error).split())}"
        ) from error
    if frame.empty:
        raise UserError(f"data.table: {table} has no rows")
    frame.columns = [str(name).strip() for name in frame.columns]
    return pd.DataFrame({name: words(frame[name]) for name in frame.columns})


def _text(table: Path, suffix: str) -> pd.DataFrame:
    with open(table, encoding="utf-8-sig", newline="") as file:
        header = file.readline()
    separator = max(SEPARATORS[suffix], key=header.count)
    frame = pd.read_csv(
        table, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
    )
    if not isinstance(frame.index, pd.RangeIndex):  # pandas shifts all columns
        raise ValueError("the first row has more fields than the header")
    return frame


def _located(said: str, base: Path) -> Path:
    """The file that a table means, whichever way its slashes lean."""
    path = Path(os.path.normpath(base / said))
    if "\\" in said and not path.is_file():
        path = Path(os.path.normpath(base / PureWindowsPath(said).as_posix()))
    return path


def _in_archive(said: str) -> str:
    return PurePosixPath(os.path.normpath(said.replace("\\", "/")).replace("\\", "/")).as_posix()


def _store(frame: pd.DataFrame, folder: Path) -> None:
    with whole(folder / LISTING) as path:
        frame.to_parquet(path, index=False)
