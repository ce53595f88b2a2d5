# SPDX-License-Identifier: Apache-2.0
"""Images that are rows of Parquet files, as the Hugging Face Hub holds them: read in place."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facetell.common.errors import UserError
from facetell.images.archive import LARGEST_ENTRY, SHARDS, Archive, changed
from facetell.images.decoding import Unusable

BATCH = 16  # rows that are in memory at once
OPEN = 4  # shards that are kept open
DIGITS = 8  # of a row's number in an image's name
NAME = "stored as"  # column of ``Shards.rows``: the image's own file name


class Shards(Archive):
    """Read-only view of the Parquet files below a folder; the images are named ``<shard>/<row>``.

    Files that lie elsewhere are listed in the folder's ``SHARDS``: ``files``, paths by shard, and
    the ``label`` of all.

    What is in memory is a few rows of a shard. Reading in the order of the names is fast; going
    back within a shard begins its group of rows anew.

    >>> images = pa.array([{"bytes": b"one", "path": "1.jpg"}])
    >>> pq.write_table(pa.table({"image": images, "label": ["real"]}), "train.parquet")
    >>> with open("shards.json", "w", encoding="utf-8") as file:
    ...     json.dump({"image": "image.bytes", "left_out": {}}, file)
    >>> with Shards(".") as archive:
    ...     archive.names, archive.read("train/00000000")
    (['train/00000000'], b'one')
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = Path(path)
        self.settings: dict[str, Any] = json.loads(
            (self.folder / SHARDS).read_text(encoding="utf-8")
        )
        self.label = str(self.settings.get("label", path))
        elsewhere = {name: Path(file) for name, file in self.settings.get("files", {}).items()}
        files = elsewhere or {shard(file, self.folder): file for file in below(self.folder)}
        self._files = {name: files[name] for name in sorted(files)}
        self._sizes = {name: metadata(file).num_rows for name, file in self._files.items()}
        self._changed = {name: changed(file) for name, file in self._files.items()}
        self._shard = lru_cache(OPEN)(self._opened)

    def close(self) -> None:
        """Close all files; nothing can be read afterwards."""
        self._shard.cache_clear()

    @property
    def names(self) -> list[str]:
        """Names of all rows, in the order in which they are stored."""
        return [
            f"{file}/{row:0{DIGITS}}" for file, size in self._sizes.items() for row in range(size)
        ]

    @property
    def left_out(self) -> dict[str, int]:
        """Files beside the shards that are none: how many, by why."""
        return {str(why): int(number) for why, number in self.settings["left_out"].items()}

    @property
    def features(self) -> dict[str, Any]:
        """What the library ``datasets`` noted of the columns; empty where it wrote nothing."""
        return features(next(iter(self._files.values())))

    def rows(self) -> pd.DataFrame:
        """The columns that hold words or numbers, with the images' names as index.

        ``NAME`` is the file name that is stored beside an image, where there is one.
        """
        image = self.settings["image"].partition(".")[0]
        frames = [self._rows(file, image) for file in self._files.values()]
        return pd.concat(frames, ignore_index=True).set_axis(self.names)

    @staticmethod
    def _rows(file: Path, image: str) -> pd.DataFrame:
        schema = pq.read_schema(file)
        wanted = [field.name for field in schema if plain(field.type) and field.name != image]
        type_ = schema.field(image).type
        path = pa.types.is_struct(type_) and type_.get_field_index("path") >= 0
        columns = [*wanted, *([f"{image}.path"] if path else [])]
        with pq.ParquetFile(file, memory_map=True) as opened:
            table = opened.read(columns=columns)
        frame = table.select(wanted).to_pandas()
        if path:
            frame[NAME] = [(one or {}).get("path") or "" for one in table[image].to_pylist()]
        return frame

    def read(self, name: str, size: int = -1) -> bytes:
        """One image's bytes, or the first ``size`` of them.

        Raises
        ------
        Unusable : there is no such row, it has no bytes, or the shard is damaged.
        """
        file, _, row = name.rpartition("/")
        if not row.isdigit() or int(row) >= self._sizes.get(file, 0):
            raise Unusable("listed, but not in the archive")
        try:
            data = self._shard(file).read(int(row))
        except (OSError, pa.ArrowException) as error:
            raise Unusable(f"damaged in the archive: {error}") from error
        if data is None:
            raise Unusable("the row holds no bytes of an image")
        if len(data) > LARGEST_ENTRY and size < 0:
            raise Unusable(f"too large: {len(data):,} bytes")
        return data if size < 0 else data[:size]

    def identity(self, name: str) -> str:
        """The shard's size, when it was last changed, and the row."""
        file, _, row = name.rpartition("/")
        return f"{self._changed[file]} {row}" if file in self._files else ""

    def _opened(self, name: str) -> "_Shard":
        return _Shard(self._files[name], self.settings["image"])


class _Shard:
    """One Parquet file, whose rows are read a few at a time."""

    def __init__(self, path: Path, column: str) -> None:
        self._file = pq.ParquetFile(path, memory_map=True)
        self._column = column
        described = self._file.metadata
        sizes = [described.row_group(at).num_rows for at in range(described.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._group = -1
        self._first = 0
        self._batch: list[Any] = []
        self._batches: Iterator[pa.RecordBatch] = iter(())

    def read(self, row: int) -> bytes | None:
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if group != self._group or row < self._first:
            self._group, self._first, self._batch = group, int(self._starts[group]), []
            self._batches = self._file.iter_batches(
                BATCH, row_groups=[group], columns=[self._column], use_threads=False
            )
        while row >= self._first + len(self._batch):
            self._first += len(self._batch)
            self._batch = next(self._batches).column(0).to_pylist()
        value = self._batch[row - self._first]
        return value.get("bytes") if isinstance(value, dict) else value


def below(folder: Path) -> Iterator[Path]:
    """The Parquet files of a folder and of those in it."""
    return folder.rglob("*.parquet")


def shard(file: Path, root: Path) -> str:
    """What a file below ``root`` is called in the names of its images."""
    return file.relative_to(root).with_suffix("").as_posix()


def plain(type_: pa.DataType) -> bool:
    """Whether a column holds words or numbers."""
    if pa.types.is_dictionary(type_):
        return plain(type_.value_type)
    return (
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
    )


def metadata(path: Path) -> pq.FileMetaData:
    """What the end of a Parquet file says of it.

    Raises
    ------
    UserError : it is none, or is cut off.
    """
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{path} is not a Parquet file or is cut off ({' '.join(str(error).split())}); get it "
            "again"
        ) from error


def features(path: Path) -> dict[str, Any]:
    """What the library ``datasets`` noted of the columns of a Parquet file, by column."""
    noted = (pq.read_schema(path).metadata or {}).get(b"huggingface")
    try:
        said = json.loads(noted)["info"]["features"] if noted else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return said if isinstance(said, dict) else {}
