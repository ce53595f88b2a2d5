# SPDX-License-Identifier: Apache-2.0
"""The embedded rendered set: an ``index.csv`` beside images, masks and twins."""

import io

import pandas as pd

from facetell.images.archive import Archive


def rows(archive: Archive) -> pd.DataFrame:
    """The index as written by ``facetell.dataset.rendered``; ``mask`` and ``twin`` are paths in the
    zip."""
    listing = io.BytesIO(archive.read("index.csv"))
    index = pd.read_csv(listing, keep_default_na=False, dtype={"label": int})
    return index.rename(columns={"file": "path"})
