# SPDX-License-Identifier: Apache-2.0
"""Packed images: one Arrow IPC file per split, memory-mapped, the encoded bytes kept as they were.

Row: id, label (1 = fake), person (name of the face), image (bytes of the file), the mask (PNG; of
a rendered fake bit i = artefact kind i, of others 255 = altered), where there is one, and for the
rendered set the twin (the same rendering without artefacts), else null.
"""

import mmap
import sys
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

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
ROWS = 64  # per record batch: small enough to stay in memory, large enough to be no overhead
FORGET = 64 * 2**20  # bytes read after which mapped pages are handed back


class Packed:
    """Read-only view of a packed split; opening it costs the ids and labels, not the images.

    Attributes
    ----------
    ids : of all images, in order.
    labels : int8 (N,), 1 = fake.
    fingerprint : sha256 of ids, labels and contents.

    >>> from facetell.dataset.demo import packed_demo
    >>> packed = packed_demo("demo")["test"]
    >>> len(packed), packed.labels.sum().item(), packed.image(0)[:2]
    (8, 4, b'\\xff\\xd8')
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with open(self.path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self.ids: list[str] = []
        labels = []
        for index in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(index)
            self.ids += batch["id"].to_pylist()
            labels.append(batch["label"].to_numpy().copy())
            if index % ROWS == 0:
                self._forget()
        self.labels = np.concatenate([np.zeros(0, dtype=np.int8), *labels])
        self.fingerprint = self._reader.schema.metadata[b"fingerprint"].decode()
        self._forget()

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return Packed, (self.path,)  # a loader's worker maps the file for itself

    def image(self, index: int) -> bytes:
        """Encoded bytes of an image, as they were in the archive."""
        return self._value("image", index)

    def mask(self, index: int) -> bytes | None:
        """PNG of what was planted (uint8, bit i = kind i) or altered (255), or None."""
        return self._value("mask", index)

    def twin(self, index: int) -> bytes | None:
        """Encoded bytes of the same rendering without artefacts, or None."""
        return self._value("twin", index)

    @cached_property
    def persons(self) -> list[str]:
        """Name of the face in each image, in order."""
        batches = map(self._reader.get_batch, range(self._reader.num_record_batches))
        return [name for batch in batches for name in batch["person"].to_pylist()]

    def _value(self, column: str, index: int):  # type: ignore[no-untyped-def]
        value = self._reader.get_batch(index // ROWS)[column][index % ROWS].as_py()
        self._read += len(value) if value else 0
        if self._read > FORGET:
            self._forget()
        return value

    def _forget(self) -> None:
        """Hand back the mapped pages: they count as this process's memory, which would grow with
        the set."""
        self._read = 0
        if sys.platform != "win32":  # which drops pages when it needs memory, but not on request
            self._map.madvise(mmap.MADV_DONTNEED)


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
