"""How data sets are laid out: one module each, from an archive to one row per image.

A layout's ``rows(archive)`` returns a frame with the columns ``ROW``; label 1 = fake, 0 = real,
whatever the set itself says. ``split`` is empty where the set leaves the choice to us.
"""

from collections.abc import Callable
from zipfile import ZipFile

import pandas as pd

from facetell.errors import UserError
from facetell.layouts import demo, faces140k, folder

ROW = (
    *("id", "path", "split", "label", "person", "generator", "platform"),
    *("artefacts", "mask", "twin"),  # only the rendered set has these; empty elsewhere
)

LAYOUTS: dict[str, Callable[[ZipFile], pd.DataFrame]] = {
    "demo": demo.rows,
    "faces140k": faces140k.rows,
    "folder": folder.rows,
}


def rows(layout: str, archive: ZipFile) -> pd.DataFrame:
    """One row per image, columns ``ROW``; raises UserError if the archive is laid out otherwise."""
    if layout not in LAYOUTS:
        raise UserError(f"data.layout: no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    table = LAYOUTS[layout](archive)
    if table.empty:
        raise UserError(f"{archive.filename} has no images in the layout {layout!r}")
    for column in ROW:
        if column not in table:
            table[column] = ""
    table["person"] = table["person"].where(table["person"] != "", table["id"])
    table["platform"] = table["platform"].where(table["platform"] != "", "original")
    if table["id"].duplicated().any():
        twice = table.loc[table["id"].duplicated(), "id"].iloc[0]
        raise UserError(f"{archive.filename}: the image id {twice!r} occurs more than once")
    return table[list(ROW)].reset_index(drop=True)
