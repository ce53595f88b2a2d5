# SPDX-License-Identifier: Apache-2.0
"""A user's table of images: path and label, perhaps split, group, generator and platform."""

import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.listed import LISTING, NAMED, STORED, understood
from facetell.images.archive import Archive


def rows(archive: Archive, hints: Hints) -> pd.DataFrame:
    """One row per listed image that has a label.

    Raises
    ------
    UserError : no listed image is in the archive; or what ``listed.understood`` refuses.
    """
    listing = archive.folder / LISTING
    if not listing.is_file():
        raise UserError(f"there is no {listing}; run the fetch stage again")
    frame = pd.read_parquet(listing)
    where = str(frame.attrs[NAMED])
    there = archive.names
    if not set(frame[STORED]) & set(there):
        raise UserError(
            f"{where}: none of its {len(frame):,} images is there, such as {frame[STORED].iloc[0]}"
            + (f"; {archive.label} has files such as {there[0]}" if there else "")
            + ". Paths start at the table's folder, or at data.root or in data.archive"
        )
    table = understood(frame, frame[STORED], hints, where)
    table["id"] = table["path"] = frame[STORED]  # of the rows that have a label
    return table
