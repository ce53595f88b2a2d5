# SPDX-License-Identifier: Apache-2.0
"""The manifest on disk: a Parquet data set in a folder, partitioned by split.

``split=train/part-00000.parquet`` and so on, which pandas, pyarrow and others read by themselves,
by column and by split.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from facetell.common.errors import UserError
from facetell.common.files import whole_folder
from facetell.common.labels import SPLITS, UNUSED

ROWS = 250_000  # of a file
CHUNK = 2**14  # rows of ``chunks``
PARTITIONS = (*SPLITS, UNUSED)


def write_manifest(folder: str | Path, manifest: pd.DataFrame) -> None:
    """Write a manifest, whole or not at all; each split keeps the order of its rows.

    Parameters
    ----------
    manifest : a column split, whose values are ``PARTITIONS``, and any others.

    >>> table = pd.DataFrame({"id": ["a", "b", "c"], "split": ["train", "test", "train"]})
    >>> write_manifest("manifest", table)
    >>> read_manifest("manifest", ["id"], ["train"])["id"].tolist()
    ['a', 'c']
    >>> pd.read_parquet("manifest", columns=["id"], filters=[("split", "=", "test")])["id"].item()
    'b'
    """
    with whole_folder(folder) as home:
        for split in PARTITIONS:
            rows = np.flatnonzero(manifest["split"] == split)
            (home / _of(split)).mkdir()
            for number, start in enumerate(range(0, max(1, len(rows)), ROWS)):
                part = manifest.iloc[rows[start : start + ROWS]].drop(columns="split")
                part.to_parquet(home / _of(split) / f"part-{number:05}.parquet", index=False)


def read_manifest(
    folder: str | Path,
    columns: Sequence[str] | None = None,
    splits: Sequence[str] = PARTITIONS,
) -> pd.DataFrame:
    """These columns (None: all) of these splits, one split after the other.

    Raises
    ------
    UserError : there is no manifest.
    """
    wanted = None if columns is None else [name for name in columns if name != "split"]
    parts = [
        pd.read_parquet(file, columns=wanted, partitioning=None).assign(split=split)
        for split in splits
        for file in _files(folder, split)
    ]
    return pd.concat(parts, ignore_index=True)[parts[0].columns if columns is None else [*columns]]


def chunks(
    folder: str | Path, columns: Sequence[str], split: str, rows: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """These columns of one split, at most so many rows at a time; ``split`` is none of them.

    Raises
    ------
    UserError : there is no manifest.
    """
    for path in _files(folder, split):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(rows, columns=list(columns)):
                yield batch.to_pandas()


def selected(folder: str | Path, columns: Sequence[str], ids: "pd.Series[str]") -> pd.DataFrame:
    """These columns, id among them, of the images with these ids, in their order.

    Raises
    ------
    UserError : there is no manifest.
    """
    parts = [
        part[part["id"].isin(ids)].assign(split=split)
        for split in PARTITIONS
        for part in chunks(folder, [name for name in columns if name != "split"], split)
    ]
    return in_order(pd.concat(parts), ids)


def in_order(manifest: pd.DataFrame, ids: Sequence[str] | pd.Index) -> pd.DataFrame:
    """The rows of these images, in their order.

    >>> in_order(pd.DataFrame({"id": ["a", "b", "c"], "label": [0, 1, 1]}), ["c", "a"])
      id  label
    0  c      1
    1  a      0
    """
    return manifest.set_index("id").loc[ids].rename_axis("id").reset_index()


def count(folder: str | Path, splits: Sequence[str] = SPLITS) -> int:
    """Rows of these splits.

    Raises
    ------
    UserError : there is no manifest.
    """
    return sum(pq.read_metadata(file).num_rows for at in splits for file in _files(folder, at))


def _of(split: str) -> str:
    return f"split={split}"


def _files(folder: str | Path, split: str) -> list[Path]:
    if found := sorted((Path(folder) / _of(split)).glob("*.parquet")):
        return found
    raise UserError(f"there is no manifest with a split {split} in {folder}: run the split stage")
