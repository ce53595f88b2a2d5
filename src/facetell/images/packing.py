# SPDX-License-Identifier: Apache-2.0
"""Writing of packed images (see ``facetell.images.packed``): as they are in the archive, or
treated."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.progress import progress, worked
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable, inspect
from facetell.images.packed import ROWS, SCHEMA, middle
from facetell.images.reencoding import Treatment, treatment

WHITE = 128  # level of a mask, of 255, from which on its pixel counts as altered
NEEDED = (
    *("id", "label", "person", "set", "path", "artefacts", "mask", "twin"),
    *("platform", "laundered", "sha256"),
)  # fmt: skip


def pack(
    manifest: pd.DataFrame,
    archives: Mapping[str, Archive],
    path: Path,
    harmonise: Treatment | None = None,
) -> None:
    """Write the rows of ``manifest``, in its order; the same rows give the same bytes.

    Of its columns only ``NEEDED`` are looked at.

    Parameters
    ----------
    archives : by the set's name.
    harmonise : what was done to all images when the manifest was made.

    Raises
    ------
    UserError : an image is no longer the one that the manifest describes.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.images.archive import open_archive
    >>> sets = packed_demo("demo")
    >>> manifest = pd.read_parquet("demo/manifest.parquet")
    >>> with open_archive("demo/raw/demo") as archive:
    ...     pack(manifest[manifest["label"] == 1], {"demo": archive}, Path("fakes.arrow"))
    """
    everyone = harmonise or Treatment()
    schema = SCHEMA.with_metadata({"fingerprint": fingerprint(manifest)})
    with (
        whole(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for start in progress(range(0, len(manifest), ROWS), f"packing {path.stem}"):
            rows = manifest[list(NEEDED)].iloc[start : start + ROWS].to_dict("records")
            columns = {
                "id": [row["id"] for row in rows],
                "label": [row["label"] for row in rows],
                "person": [row["person"] for row in rows],
                "image": [_image(row, archives[row["set"]], everyone) for row in rows],
                "mask": [_mask(row, archives[row["set"]], everyone) for row in rows],
                "twin": [_twin(row, archives[row["set"]], everyone) for row in rows],
            }
            writer.write_batch(pa.record_batch(columns, schema=schema))
            worked(len(rows))


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


def fingerprint(manifest: pd.DataFrame) -> str:
    """sha256 over id, label, person and content of every row: names the data that a model saw."""
    digest = hashlib.sha256()
    seen = ["id", "label", "person", "sha256"]
    for row in manifest[seen].itertuples(index=False):
        digest.update("\t".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()
