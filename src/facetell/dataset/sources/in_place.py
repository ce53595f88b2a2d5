# SPDX-License-Identifier: Apache-2.0
"""A set of any kind where it lies, without a copy of an image: what ``facetell audit`` judges."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facetell.dataset.hints import Hints
from facetell.dataset.sources import hub, table
from facetell.dataset.tree import hidden

PARQUET = ".parquet"
BESIDE = (".md", ".txt", ".json", ".yaml", ".yml", "")  # what repositories have beside shards


@contextmanager
def in_place(path: Path, hints: Hints, root: Path | None = None) -> Iterator[tuple[Path, str]]:
    """What ``folder.open_files`` opens, and the layout; "" where the names of files have to tell.

    A Parquet file or a folder of them is ``hub`` if it holds the bytes of images. A Parquet file
    that does not, a CSV or TSV file is a ``table``, whose paths start at ``root``, or at its own
    folder. What is in these is noted in a folder that is gone afterwards.

    Raises
    ------
    UserError : a table or shards that cannot be read, or that have no images.

    >>> Path("mine.csv").write_text("path,label\\na.png,real\\n", encoding="utf-8")
    22
    >>> _ = Path("a.png").write_bytes(b"")
    >>> with in_place(Path("mine.csv"), Hints()) as (_, layout):
    ...     layout
    'table'
    """
    layout = _layout(path)
    if not layout:
        yield path, ""
        return
    with tempfile.TemporaryDirectory(prefix="facetell-") as folder:
        home = Path(folder)
        if layout == "hub":
            hub.in_place(home, path, hints)
        else:
            table.in_place(home, path, hints, root)
        yield home, layout


def _layout(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.is_dir():
        return "hub" if _of_shards(path) else ""
    if suffix == PARQUET and path.is_file():
        return "hub" if hub.holds_images(path) else "table"
    return "table" if suffix in table.SEPARATORS else ""


def _of_shards(folder: Path) -> bool:
    """Whether all data in a folder are in Parquet files that hold images."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and not hidden(path.relative_to(folder).as_posix())
    )
    first = None
    for path in files:
        if path.suffix.lower() == PARQUET:
            first = first or path
        elif path.suffix.lower() not in BESIDE:
            return False
    return first is not None and hub.holds_images(first)
