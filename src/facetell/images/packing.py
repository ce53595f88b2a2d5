# SPDX-License-Identifier: Apache-2.0
"""Writing of packed images (see ``facetell.images.packed``): as they are in the archive, or
treated."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.progress import progress, worked
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable
from facetell.images.packed import ROWS, SCHEMA
from facetell.images.reencoding import Treatment, treatment

NEEDED = (
    "id", "label", "person", "set", "path", "mask", "twin", "platform", "laundered", "sha256",
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
                "mask": [_mask(row, archives[row["set"]]) for row in rows],
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


def _mask(row: dict[str, Any], archive: Archive) -> bytes | None:
    return _companion(row["mask"], archive) if row["mask"] else None


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
