"""Writing of packed images (see ``facetell.packed``): bytes go from the archive as they are."""

import hashlib
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pyarrow as pa

from facetell.archive import read_entry
from facetell.files import whole
from facetell.packed import ROWS, SCHEMA
from facetell.progress import progress


def pack(manifest: pd.DataFrame, archive: ZipFile, path: Path) -> None:
    """Write the rows of ``manifest``, in its order; the same rows give the same bytes."""
    schema = SCHEMA.with_metadata({"fingerprint": fingerprint(manifest)})
    rows = manifest[["id", "label", "path", "mask", "twin"]].to_dict("records")
    with (
        whole(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for start in progress(range(0, len(rows), ROWS), f"packing {path.stem}"):
            chunk = rows[start : start + ROWS]
            columns = {
                "id": [row["id"] for row in chunk],
                "label": [row["label"] for row in chunk],
            }
            for column, source in (("image", "path"), ("mask", "mask"), ("twin", "twin")):
                columns[column] = [
                    read_entry(archive, row[source]) if row[source] else None for row in chunk
                ]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def fingerprint(manifest: pd.DataFrame) -> str:
    """sha256 over id, label and content of every row: names the data that a model saw."""
    lines = manifest["id"] + "\t" + manifest["label"].astype(str) + "\t" + manifest["sha256"]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
