# SPDX-License-Identifier: Apache-2.0
"""Writing of packed images (see ``facetell.images.packed``): as they are in the archive, or
treated.

A shard's name follows from its rows and its bytes. One that is there already is not written again:
what a killed run has left is gone on from, and added images change only the shards that they fall
into.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from facetell.common.errors import UserError
from facetell.common.files import clear, whole, write_json
from facetell.common.parallel import in_processes, opened
from facetell.common.progress import progress, worked
from facetell.images import sharding
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable, inspect
from facetell.images.opening import open_archive
from facetell.images.packed import INDEX, LISTED, ROWS, SCHEMA, SUFFIX, File, Index, middle, named
from facetell.images.reencoding import Treatment, treatment

LISTING = f"rows{SUFFIX}"
WHITE = 128  # level of a mask, of 255, from which on its pixel counts as altered
NEEDED = (
    *("id", "label", "person", "set", "path", "artefacts", "mask", "twin"),
    *("platform", "laundered", "sha256", "bytes"),
)  # fmt: skip
SEEN = ["id", "label", "person", "sha256"]  # columns that name the data that a model saw


def pack(
    chunks: Iterable[pd.DataFrame],
    files: Mapping[str, Path],
    folder: Path,
    harmonise: Treatment | None = None,
    *,
    largest: int = sharding.LARGEST,
    workers: int = 1,
) -> None:
    """Write rows of the manifest to shards in ``folder``, in their order.

    The same rows give the same bytes, whatever the number of processes and of chunks. Until all is
    written the folder holds what it held before.

    Parameters
    ----------
    chunks : of the manifest, of which a few are in memory at a time; the columns ``NEEDED``.
    files : by the set's name its zip, or folder of zips or of Parquet files.
    harmonise : what was done to all images when the manifest was made.
    largest : bytes of a shard's images.
    workers : processes, each of which writes a shard.

    Raises
    ------
    UserError : an image is no longer the one that the manifest describes.

    >>> from facetell.dataset.demo import packed_demo
    >>> sets = packed_demo("demo")
    >>> manifest = pd.read_parquet("demo/manifest")
    >>> fakes = manifest[manifest["label"] == 1]
    >>> pack([fakes], {"demo": Path("demo/raw/demo")}, Path("fakes"))
    """
    shards = sharding.cut((chunk[list(NEEDED)] for chunk in chunks), largest)
    first = list(islice(shards, 2))
    workers = workers if len(first) > 1 else 1  # a single shard is not worth another process
    trusted = _trusted(folder)
    with _listing(folder) as listing:
        parts = map(listing.add, chain(first, shards))
        written = in_processes(
            _shard, parts, dict(files), harmonise or Treatment(), folder, trusted, workers=workers
        )
        found = []
        for shard in progress(written, f"packing {folder.name}"):
            worked(shard.rows)
            found.append(shard)
    listed = _final(folder / LISTING, "rows", listing.rows)
    index = Index(listing.digest.hexdigest(), listed, found)
    write_json(folder / INDEX, index._asdict())
    clear(folder)
    kept = {file.name for file in index.files}
    for old in folder.glob(f"[!.]*{SUFFIX}"):
        if old.name not in kept:
            old.unlink()


class _Listing:
    """Writes the ids, labels and persons of all rows as they pass."""

    def __init__(self, writer: pa.ipc.RecordBatchFileWriter) -> None:
        self.digest, self.rows, self._writer = hashlib.sha256(), 0, writer

    def add(self, part: pd.DataFrame) -> pd.DataFrame:
        sharding.update(self.digest, part[SEEN])
        self.rows += len(part)
        columns = {name: part[name].tolist() for name in LISTED.names}
        self._writer.write_batch(pa.record_batch(columns, schema=LISTED))
        return part


@contextmanager
def _listing(folder: Path) -> Iterator[_Listing]:
    with (
        whole(folder / LISTING) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, LISTED) as writer,
    ):
        yield _Listing(writer)


def _trusted(folder: Path) -> dict[str, File]:
    """Files of the last whole run, by name, that nobody has touched since."""
    try:
        index, written = Index.read(folder), (folder / INDEX).stat().st_mtime_ns
    except UserError:
        return {}
    return {
        file.name: file
        for file in index.files
        if not file.damage(folder) and (folder / file.name).stat().st_mtime_ns <= written
    }


def _shard(
    rows: pd.DataFrame,
    files: dict[str, Path],
    everyone: Treatment,
    folder: Path,
    trusted: dict[str, File],
) -> File:
    """Write a shard, or find it: its checksum is looked at unless it is ``trusted``."""
    archives = {name: opened(open_archive, files[name]) for name in rows["set"].unique()}
    key = sharding.key(rows, everyone, _identities(rows, archives))
    for path in folder.glob(f"{key}-*{SUFFIX}"):
        file = trusted.get(path.name, File(path.name, len(rows), path.stat().st_size))
        if path.name in trusted or not file.damage(folder, checksum=True):
            return file
    with (
        whole(folder / f"{key}{SUFFIX}") as temporary,
        pa.OSFile(str(temporary), "wb") as out,
        pa.ipc.new_file(out, SCHEMA) as writer,
    ):
        for start in range(0, len(rows), ROWS):
            writer.write_batch(_batch(rows.iloc[start : start + ROWS], archives, everyone))
    return _final(folder / f"{key}{SUFFIX}", key, len(rows))


def _final(path: Path, digest: str, rows: int) -> File:
    """Give a file that is whole the name that has its checksum."""
    final = path.replace(path.with_name(named(path, digest)))
    return File(final.name, rows, final.stat().st_size)


def _identities(rows: pd.DataFrame, archives: Mapping[str, Archive]) -> Iterator[str]:
    """Of the masks and twins, whose content the manifest does not tell."""
    for column in ("mask", "twin"):
        for name, companion in rows.loc[rows[column] != "", ["set", column]].itertuples(
            index=False
        ):
            yield archives[name].identity(companion)


def _batch(part: pd.DataFrame, archives: Mapping[str, Archive], everyone: Treatment) -> Any:
    rows = part.to_dict("records")
    columns = {
        "id": [row["id"] for row in rows],
        "label": [row["label"] for row in rows],
        "person": [row["person"] for row in rows],
        "image": [_image(row, archives[row["set"]], everyone) for row in rows],
        "mask": [_mask(row, archives[row["set"]], everyone) for row in rows],
        "twin": [_twin(row, archives[row["set"]], everyone) for row in rows],
    }
    return pa.record_batch(columns, schema=SCHEMA)


def _image(row: dict[str, Any], archive: Archive, everyone: Treatment) -> bytes:
    try:
        data = treatment(row, everyone)(archive.read(row["path"]), row["id"])
    except Unusable as reason:
        raise _changed(row, archive) from reason
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise _changed(row, archive)
    return data


def _changed(row: dict[str, Any], archive: Archive) -> UserError:
    return UserError(
        f"{row['path']} in {archive.label} is not the image that the manifest describes: the "
        "archive has changed since; run the split stage again"
    )


def _mask(row: dict[str, Any], archive: Archive, everyone: Treatment) -> bytes | None:
    if not row["mask"]:
        return None
    data = _companion(row["mask"], archive)
    if row["artefacts"]:
        return data  # the renderer's own
    image = inspect(archive.read(row["path"]))[1]
    return _altered(data, image.size, row, archive, square=everyone.harmonise)


def _altered(
    data: bytes, size: tuple[int, int], row: dict[str, Any], archive: Archive, *, square: bool
) -> bytes:
    """A user's mask as packed: PNG, 255 where the pixel is altered, else 0."""
    try:
        mask = inspect(data)[1].convert("L")
    except Unusable as reason:
        raise UserError(f"mask {row['mask']} in {archive.label}: {reason}") from reason
    if mask.size != size:
        raise UserError(
            f"mask {row['mask']} in {archive.label} has {mask.width} x {mask.height} px, and its "
            f"image {row['path']} {size[0]} x {size[1]}: they must be of one size"
        )
    if square:  # as the image is cut
        mask = middle(mask)
    buffer = BytesIO()
    mask.point(lambda level: 255 * (level >= WHITE)).save(buffer, "PNG")
    return buffer.getvalue()


def _twin(row: dict[str, Any], archive: Archive, everyone: Treatment) -> bytes | None:
    if not row["twin"]:
        return None
    return treatment(row, everyone)(_companion(row["twin"], archive), row["id"])


def _companion(name: str, archive: Archive) -> bytes:
    try:
        return archive.read(name)
    except Unusable as reason:
        raise UserError(f"{name} in {archive.label}: {reason}; fetch the set again") from reason
