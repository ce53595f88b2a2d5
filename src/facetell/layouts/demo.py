"""The embedded rendered set: an ``index.csv`` beside images, masks and twins."""

from zipfile import ZipFile

import pandas as pd


def rows(archive: ZipFile) -> pd.DataFrame:
    """The index as written by ``facetell.demo``; ``mask`` and ``twin`` are paths in the zip."""
    with archive.open("index.csv") as file:
        index = pd.read_csv(file, keep_default_na=False, dtype={"label": int})
    return index.rename(columns={"file": "path"})
