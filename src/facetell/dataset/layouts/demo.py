# SPDX-License-Identifier: Apache-2.0
"""The embedded rendered set: an ``index.csv`` beside images, masks and twins."""

import io

import pandas as pd

from facetell.images.archive import Archive

INDEX = "index.csv"


def recognises(archive: Archive) -> bool:
    """Whether this is the renderer's own index."""
    if INDEX not in archive.names:
        return False
    header = archive.read(INDEX, 4096).split(b"\n")[0].decode(errors="replace").strip()
    return {"file", "label", "mask", "twin"} <= set(header.split(","))


def rows(archive: Archive) -> pd.DataFrame:
    """The index as written by ``facetell.dataset.rendered``; ``mask`` and ``twin`` are paths in the
    zip."""
    listing = io.BytesIO(archive.read(INDEX))
    index = pd.read_csv(listing, keep_default_na=False, dtype={"label": int})
    return index.rename(columns={"file": "path"})
