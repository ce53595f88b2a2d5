# SPDX-License-Identifier: Apache-2.0
"""Opening an archive, whatever it is."""

from pathlib import Path

from facetell.images.archive import SHARDS, Archive
from facetell.images.shards import Shards
from facetell.images.zips import Zips


def open_archive(path: str | Path) -> Archive:
    """Open a zip, a folder of zips, or a folder of Parquet shards, for reading.

    Raises
    ------
    UserError : missing, not a zip or cut off, or with an entry that points outside of itself.
    """
    if (Path(path) / SHARDS).is_file():
        return Shards(path)
    return Zips(path)
