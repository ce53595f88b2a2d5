# SPDX-License-Identifier: Apache-2.0
"""Writes the rendered demo set as one zip file whose bytes depend on the arguments only."""

from __future__ import annotations

import csv
import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from facetell.common.files import whole
from facetell.common.parallel import in_processes
from facetell.common.progress import estimating, worked

from .artefacts import KINDS
from .plan import RenderedSet, Spec, plan
from .render import Rendered, render_scene

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
planted on purpose; "real" images (label 0) are the drawings without them. In the training split
each fake has its original among the real images; elsewhere the real image of a scene is another
shot of it, by another camera.

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
  twin       for a fake of the valid and test splits: the same image without its artefacts, else
             empty

Kinds, from bit 0 on: {kinds}
"""


def _files(spec: Spec, done: Rendered) -> Files:
    """Return the files of one row: image, mask or None, twin or None."""
    mask = None
    if spec.label:
        stream = io.BytesIO()
        Image.fromarray(done.mask).save(stream, "PNG")
        mask = stream.getvalue()
    return done.jpeg, mask, done.twin


def _chunk_files(scenes: list[list[Spec]], size: int, seed: int) -> list[tuple[Spec, Files]]:
    return [
        (spec, _files(spec, done))
        for scene in scenes
        for spec, done in zip(scene, render_scene(scene, seed=seed, size=size), strict=True)
    ]


def _rendered(
    specs: list[Spec], *, size: int, seed: int, workers: int
) -> Iterator[tuple[Spec, Files]]:
    """Yield the rows with their files, scene by scene, with only a few chunks in memory."""
    by_scene = sorted(specs, key=lambda spec: (spec.scene, spec.index))
    scenes = [list(rows) for _, rows in groupby(by_scene, key=lambda spec: spec.scene)]
    chunks = (scenes[i : i + _CHUNK] for i in range(0, len(scenes), _CHUNK))
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
    content: RenderedSet,
    *,
    workers: int = 2,
    progress: bool = True,
) -> None:
    """Render a set (drawn faces, no photos) into the zip file `path`.

    `workers` is the number of processes, which does not change the bytes. The file appears under
    its name only when complete.

    >>> content = RenderedSet(seed=0, size=32, train=2, valid=2, test=2, singles_per_kind=0)
    >>> write_archive("demo.zip", content, workers=1, progress=False)
    >>> len(zipfile.ZipFile("demo.zip").namelist())  # images, masks, twins, index and README
    13
    """
    specs = plan(content)
    what = f"fetch: render {len(specs):,} faces of {content.size} px"
    with (
        estimating(what, len(specs), show=progress),
        whole(Path(path)) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive,
    ):
        _add(archive, "README.txt", README.format(kinds=", ".join(KINDS)).encode())
        _add(archive, "index.csv", _listing(map(_row, specs)).encode())
        bar = tqdm(
            _rendered(specs, size=content.size, seed=content.seed, workers=workers),
            total=len(specs), desc="demo faces", unit="image", file=sys.stderr,
            disable=not progress, mininterval=0.2 if sys.stderr.isatty() else 10.0,
        )  # fmt: skip
        for spec, files in bar:
            row = _row(spec)
            worked()
            for name, data in zip((row["file"], row["mask"], row["twin"]), files, strict=True):
                if data is not None:
                    _add(archive, str(name), data)


def _listing(rows: Iterable[dict[str, str | int]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
