# SPDX-License-Identifier: Apache-2.0
"""What was seen of images, kept in files: an image is looked at once, not with every change of a
set.

A finding is found again by a key that stands for the image's content, its treatment and the code
that looked at it (``facetell.dataset.inspection``). Findings come in segments of ``SEGMENT``
images: ``<digest>.arrow`` with the numbers, and beside it ``<digest>.luma`` with the thumbnails,
which are most of the bytes and of which few are ever read.
"""

import hashlib
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facetell.common.files import clear, whole

SEGMENT = 2**14  # images: what a killed run loses at most
LUMA = 1024  # bytes of a thumbnail
KEY = 16  # bytes
KEYS = pa.binary(KEY)
SCHEMA = pa.schema(
    {
        "key": KEYS,
        "width": pa.int32(),
        "height": pa.int32(),
        "format": pa.string(),
        "mode": pa.string(),
        "jpeg_quality": pa.int16(),
        "subsampling": pa.string(),
        "quant_table": pa.string(),
        "exif": pa.bool_(),
        "bytes": pa.int64(),
        "sha256": pa.string(),
        "hash": pa.binary(32),
    }
)
Seen = tuple[pa.RecordBatch, bytes]  # of ``SCHEMA``, and ``LUMA`` bytes for each of its rows


class Findings:
    """Findings below a folder, or, without one, of this object alone.

    >>> store = Findings()
    >>> row = [b"k" * 16, 4, 3, "PNG", "RGB", None, "", "", False, 99, "abc", bytes(32)]
    >>> store.add([(pa.record_batch([[value] for value in row], SCHEMA), bytes(LUMA))])
    >>> places = store.places(pa.array([b"k" * 16, b"l" * 16], pa.binary(16)))
    >>> places, store.luma(places[:1]).shape
    (array([ 0, -1], dtype=int32), (1, 1024))
    """

    def __init__(self, folder: Path | None = None) -> None:
        # what is mapped cannot be removed on every system
        self._own = None if folder else TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = folder or Path(self._own.name if self._own else "")
        self.folder.mkdir(parents=True, exist_ok=True)
        clear(self.folder)
        self._open()

    def _open(self) -> None:
        rows = {file: _rows(file) for file in sorted(self.folder.glob("[!.]*.arrow"))}
        self._files = [file for file, number in rows.items() if number]
        self._ends = np.cumsum([rows[file] for file in self._files], dtype=np.int64)

    @property
    def table(self) -> pa.Table:
        """All findings, mapped anew: they take memory as long as somebody holds the table."""
        return pa.concat_tables([SCHEMA.empty_table(), *map(_mapped, self._files)])

    def places(self, keys: pa.Array) -> np.ndarray:
        """Row of ``table`` for each key, int (n,); -1 where there is none."""
        return pc.index_in(keys, value_set=self.table["key"]).fill_null(-1).to_numpy()

    def luma(self, places: np.ndarray) -> np.ndarray:
        """Thumbnails of rows of ``table``, uint8 (n, ``LUMA``)."""
        found = np.empty((len(places), LUMA), dtype=np.uint8)
        files = np.searchsorted(self._ends, places, side="right")
        starts = np.concatenate([[0], self._ends])
        for at, (file, place) in enumerate(zip(files, places, strict=True)):
            offset = int(place - starts[file]) * LUMA
            found[at] = np.fromfile(_luma(self._files[file]), np.uint8, LUMA, offset=offset)
        return found

    def add(self, seen: Iterable[Seen]) -> None:
        """Store findings as they come; those of a run that stops on the way are there, too."""
        pending: list[Seen] = []
        try:
            for one in seen:
                pending.append(one)
                if sum(len(batch) for batch, _ in pending) >= SEGMENT:
                    self._write(pending)
                    pending = []
        finally:
            self._write(pending)
        self._open()

    def _write(self, pending: list[Seen]) -> None:
        table = pa.Table.from_batches([batch for batch, _ in pending], SCHEMA).combine_chunks()
        if not len(table):
            return
        name = hashlib.sha256(b"".join(table["key"].to_pylist())).hexdigest()[:32]
        file = self.folder / f"{name}.arrow"
        with whole(_luma(file)) as temporary:
            temporary.write_bytes(b"".join(luma for _, luma in pending))
        with (
            whole(file) as temporary,
            pa.OSFile(str(temporary), "wb") as out,
            pa.ipc.new_file(out, SCHEMA) as writer,
        ):
            writer.write_table(table)

    def keep_only(self, places: np.ndarray) -> None:
        """Remove the segments that have none of these rows of ``table``, which is not there
        afterwards; the thumbnails of these rows are."""
        used = set(np.searchsorted(self._ends, places, side="right").tolist())
        for at, file in enumerate(self._files):
            if at not in used:
                file.unlink(missing_ok=True)
                _luma(file).unlink(missing_ok=True)


def _luma(file: Path) -> Path:
    return file.with_suffix(".luma")


def _mapped(file: Path) -> pa.Table:
    with closing(pa.memory_map(str(file))) as source:
        return pa.ipc.open_file(source).read_all()


def _rows(file: Path) -> int:
    """The findings of a segment; none of one that is damaged, which is no loss but time."""
    try:
        table = _mapped(file)
        whole_luma = _luma(file).stat().st_size == LUMA * len(table)
    except (OSError, pa.ArrowException):
        return 0
    return len(table) if whole_luma and table.schema.equals(SCHEMA) else 0
