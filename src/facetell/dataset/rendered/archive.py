"""Writes the rendered demo set as one zip file whose bytes depend on the arguments only."""

from __future__ import annotations

import csv
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from facetell.common.parallel import in_processes

from .artefacts import KINDS
from .plan import Spec, plan
from .render import check_size, render

COLUMNS = (
    "id", "file", "split", "label", "person", "generator", "platform", "artefacts", "mask", "twin",
)  # fmt: skip
_CHUNK = 16
_EPOCH = (1980, 1, 1, 0, 0, 0)
Files = tuple[bytes, bytes | None, bytes | None]

README = """Rendered faces, not photos
==========================

Every face in this archive was drawn by the program facetell from random numbers. None is a photo
and none shows a person who exists. "Fake" images (label 1) are the same drawings with artefacts
planted on purpose; "real" images (label 0) are the drawings without them.

index.csv has one row for each image:
  id         name of the image, in an order that tells neither label nor split
  file       the image (JPEG) in this archive
  split      train, valid or test; a person occurs in one split only
  label      1 for fake, 0 for real
  person     name of the fictitious person
  generator  upsampler, swapper or inpainter (fictitious), single-<kind> for test fakes with one
             artefact, empty for real images
  platform   presocial, or the platform whose second JPEG compression is imitated
  artefacts  kinds of planted artefacts joined by +, empty for real images
  mask       8-bit gray PNG of a fake: bit i of a pixel says that kind i was planted there
  twin       for a fake of the test split: the same image without its artefacts, else empty

Kinds, from bit 0 on: {kinds}
"""


def _files(size: int, seed: int, spec: Spec) -> Files:
    """Return the files of one row: image, mask or None, twin or None."""
    done = render(spec, seed=seed, size=size)
    mask = None
    if spec.label:
        stream = io.BytesIO()
        Image.fromarray(done.mask).save(stream, "PNG")
        mask = stream.getvalue()
    return done.jpeg, mask, done.twin


def _chunk_files(specs: list[Spec], size: int, seed: int) -> list[Files]:
    return [_files(size, seed, spec) for spec in specs]


def _rendered(specs: list[Spec], *, size: int, seed: int, workers: int) -> Iterator[Files]:
    """Yield the files of every row in order, with only a few chunks in memory."""
    chunks = (specs[i : i + _CHUNK] for i in range(0, len(specs), _CHUNK))
    for files in in_processes(_chunk_files, chunks, size, seed, workers=workers):
        yield from files


def _row(spec: Spec) -> dict[str, str | int]:
    return {
        "id": spec.id,
        "file": f"images/{spec.id}.jpg",
        "split": spec.split,
        "label": spec.label,
        "person": spec.person_id,
        "generator": spec.generator,
        "platform": spec.platform,
        "artefacts": "+".join(spec.artefacts),
        "mask": f"masks/{spec.id}.png" if spec.label else "",
        "twin": f"twins/{spec.id}.jpg" if spec.has_twin else "",
    }


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # the same bytes on every operating system
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)


def write_archive(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    size: int = 64,
    train: int = 2000,
    valid: int = 400,
    test: int = 400,
    singles_per_kind: int = 20,
    artefacts_per_fake: float = 3,
    workers: int = 2,
    progress: bool = True,
) -> None:
    """Render the demo set (drawn faces, no photos) into the zip file `path`.

    The arguments are those of `plan`, with `size` the side in pixels (at least 32) and `workers`
    the number of processes, which does not change the bytes. The file appears under its name only
    when complete. Bad values raise ValueError, an unwritable path OSError.
    """
    check_size(size)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number of at least 1, got {workers!r}")
    specs = plan(
        seed=seed, train=train, valid=valid, test=test,
        singles_per_kind=singles_per_kind, artefacts_per_fake=artefacts_per_fake,
    )  # fmt: skip
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    rows = [_row(spec) for spec in specs]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, "README.txt", README.format(kinds=", ".join(KINDS)).encode())
            _add(archive, "index.csv", table.getvalue().encode())
            bar = tqdm(
                _rendered(specs, size=size, seed=seed, workers=workers),
                total=len(specs), desc="demo faces", unit="image", file=sys.stderr,
                disable=not progress, mininterval=0.2 if sys.stderr.isatty() else 10.0,
            )  # fmt: skip
            for row, files in zip(rows, bar, strict=True):
                names = (row["file"], row["mask"], row["twin"])
                for name, data in zip(names, files, strict=True):
                    if data is not None:
                        _add(archive, str(name), data)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
