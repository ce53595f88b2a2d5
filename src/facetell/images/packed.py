# SPDX-License-Identifier: Apache-2.0
"""Packed images: a folder of Arrow IPC files (shards), memory-mapped, the encoded bytes as they
were.

Row of a shard: id, label (1 = fake), person (name of the face), image (bytes of the file), the mask
(PNG; of a rendered fake bit i = artefact kind i, of others 255 = altered), where there is one, and
for the rendered set the twin (the same rendering without artefacts), else null. ``INDEX`` lists the
shards in order, and ids, labels and persons of all rows are in a file of their own: what is read of
a million images to begin with is that file, not the shards.
"""

import mmap
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from facetell.common.errors import UserError
from facetell.common.files import read_json, sha256

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "label": pa.int8(),
        "person": pa.string(),
        "image": pa.binary(),
        "mask": pa.binary(),
        "twin": pa.binary(),
    }
)
LISTED = pa.schema({"id": pa.large_string(), "label": pa.int8(), "person": pa.large_string()})
INDEX = "index.json"
SUFFIX = ".arrow"
ROWS = 64  # per record batch: small enough to stay in memory, large enough to be no overhead
AROUND = 2**16  # bytes that a system maps around what is read
FORGET = 64 * 2**20  # bytes mapped after which all pages are handed back
OPEN = 128  # shards that a process keeps open: some systems allow 256 files
CHECKSUM = 32  # digits of a file's sha256 that stand in its name
WORDS = pd.StringDtype("pyarrow", np.nan)  # that pandas uses where nothing is said


class File(NamedTuple):
    """One file of a packed split; ``name`` is ``<digest of its rows>-<its checksum>.arrow``."""

    name: str
    rows: int
    bytes: int

    def damage(self, folder: Path, *, checksum: bool = False) -> str:
        """What is wrong with it, in words; its checksum is looked at only if that is wanted."""
        path = folder / self.name
        if not path.is_file():
            return "missing"
        if (size := path.stat().st_size) != self.bytes:
            return f"{size:,} bytes long instead of {self.bytes:,}"
        wanted = path.stem.rpartition("-")[2]
        return "not what was written" if checksum and not sha256(path).startswith(wanted) else ""


class Index(NamedTuple):
    """What ``INDEX`` says: the split's fingerprint, the file of all rows' names, and the shards."""

    fingerprint: str
    listed: File
    shards: list[File]

    @classmethod
    def read(cls, folder: Path) -> "Index":
        """Of a folder of shards.

        Raises
        ------
        UserError : there is none, or it is not readable.
        """
        try:
            said = read_json(folder / INDEX)
            shards = [File(*one) for one in said["shards"]]
            return cls(said["fingerprint"], File(*said["listed"]), shards)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder} holds no packed images ({error}): run the pack stage"
            ) from error

    @property
    def files(self) -> list[File]:
        return [self.listed, *self.shards]


class _Mapped:
    """One Arrow file, of which only the pages that are read are in memory."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.reader = pa.ipc.open_file(pa.py_buffer(self._map))
        except pa.ArrowInvalid as error:
            raise UserError(_remedy(path, str(error))) from error

    def value(self, column: str, row: int) -> bytes | None:
        value: bytes | None = self.reader.get_batch(row // ROWS)[column][row % ROWS].as_py()
        return value

    def forget(self) -> None:
        """Hand back the mapped pages: they count as this process's memory, which would grow with
        the set."""
        if sys.platform != "win32":  # which drops pages when it needs memory, but not on request
            self._map.madvise(mmap.MADV_DONTNEED)


class Packed:
    """Read-only view of a packed split; opening it costs the ids and labels, not the images.

    At most ``OPEN`` shards are kept open, whatever their number.

    Attributes
    ----------
    ids : of all images, in order (mapped from their file, not in memory).
    labels : int8 (N,), 1 = fake.
    fingerprint : sha256 of ids, labels and contents.

    Raises
    ------
    UserError : there is no such folder, or a shard is missing or cut off; it is named.

    >>> from facetell.dataset.demo import packed_demo
    >>> packed = packed_demo("demo")["test"]
    >>> len(packed), packed.labels.sum().item(), packed.image(0)[:2]
    (8, 4, b'\\xff\\xd8')
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        index = Index.read(self.path)
        self.fingerprint, self._shards = index.fingerprint, index.shards
        self._files = index.files
        for file in self._files:
            if damage := file.damage(self.path):
                raise UserError(_remedy(self.path / file.name, damage))
        self._ends = list(accumulate(shard.rows for shard in self._shards))
        self._listed = _Mapped(self.path / index.listed.name).reader.read_all()
        self.ids = _words(self._listed["id"])
        self.labels = self._listed["label"].to_numpy().astype(np.int8)
        self._opened: dict[int, _Mapped] = {}  # by number, the last one that was used at the end
        self._mapped = 0  # bytes since pages were handed back

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return Packed, (self.path,)  # a loader's worker maps the files for itself

    def image(self, index: int) -> bytes:
        """Encoded bytes of an image, as they were in the archive."""
        data = self._value("image", index)
        assert data is not None, "every row has an image"
        return data

    def mask(self, index: int) -> bytes | None:
        """PNG of what was planted (uint8, bit i = kind i) or altered (255), or None."""
        return self._value("mask", index)

    def twin(self, index: int) -> bytes | None:
        """Encoded bytes of the same rendering without artefacts, or None."""
        return self._value("twin", index)

    @property
    def persons(self) -> pd.Index:
        """Name of the face in each image, in order."""
        return _words(self._listed["person"])

    @cached_property
    def person_codes(self) -> np.ndarray:
        """The same as numbers, int (N,): two are equal where the names are."""
        return pd.factorize(self.persons)[0]

    def places(self, names: Iterable[str]) -> np.ndarray:
        """Index of the image of each of these different ids, int (n,); -1 of one that is not there.

        >>> from facetell.dataset.demo import packed_demo
        >>> packed = packed_demo("demo")["test"]
        >>> packed.places([packed.ids[5], "another"]).tolist()
        [5, -1]
        """
        wanted = pa.array(list(names), pa.large_string())
        found = pc.index_in(self._listed["id"], value_set=wanted).fill_null(-1).to_numpy()
        known = np.flatnonzero(found >= 0)
        places = np.full(len(wanted), -1)
        places[found[known]] = known
        return places

    def shard_of(self, indices: np.ndarray) -> np.ndarray:
        """Number of the shard in which each image lies, int (n,)."""
        return np.searchsorted(self._ends, indices, side="right")

    def damaged(self) -> Iterator[str]:
        """What is wrong with each damaged file, by its checksum: every byte is read."""
        for file in self._files:
            if damage := file.damage(self.path, checksum=True):
                yield _remedy(self.path / file.name, damage)

    def _value(self, column: str, index: int) -> bytes | None:
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        index %= len(self)
        number = bisect_right(self._ends, index)
        shard = self._shards[number]
        mapped = self._open(number)
        try:
            value = mapped.value(column, index - self._ends[number] + shard.rows)
        except (pa.ArrowException, OSError) as error:
            raise UserError(_remedy(self.path / shard.name, str(error))) from error
        self._mapped += AROUND + len(value or b"")
        if self._mapped > FORGET:
            self._mapped = 0
            for each in self._opened.values():
                each.forget()
        return value

    def _open(self, number: int) -> _Mapped:
        mapped = self._opened.pop(number, None)
        if mapped is None:
            mapped = _Mapped(self.path / self._shards[number].name)
        self._opened[number] = mapped
        if len(self._opened) > OPEN:
            del self._opened[next(iter(self._opened))]
        return mapped


def named(path: Path, digest: str) -> str:
    """The name of a file of these rows once it is written to ``path``."""
    return f"{digest}-{sha256(path)[:CHECKSUM]}{SUFFIX}"


def _remedy(path: Path, what: str) -> str:
    return f"{path} is damaged ({what}): remove it, and run dvc repro pack to write it anew"


def _words(column: pa.ChunkedArray) -> pd.Index:
    return pd.Index(pd.arrays.ArrowStringArray(column, dtype=WORDS))


def middle(image: Image.Image) -> Image.Image:
    """The square in the middle, as wide as the shorter side: what detectors see of an image.

    >>> middle(Image.new("L", (40, 30))).size
    (30, 30)
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def planted_mask(png: bytes | None, size: int) -> np.ndarray | None:
    """Where artefacts were planted, bool (size, size), from what ``Packed.mask`` gives; None where
    none were planted or the mask is not known."""
    if png is None:
        return None
    image = middle(Image.open(BytesIO(png))).resize((size, size), Image.Resampling.NEAREST)
    mask = np.asarray(image) > 0
    return mask if mask.any() else None
