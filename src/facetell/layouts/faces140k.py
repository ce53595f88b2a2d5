"""Kaggle's "140k Real and Fake Faces": three csv files give the official splits.

In those files label 1 means real; here, as everywhere in facetell, 1 means fake.
"""

from zipfile import ZipFile

import pandas as pd

from facetell.errors import UserError
from facetell.labels import SPLITS


def rows(archive: ZipFile) -> pd.DataFrame:
    """One row per line of ``train.csv``, ``valid.csv`` and ``test.csv``."""
    names = archive.namelist()
    tables = []
    for split in SPLITS:
        listing = next((name for name in names if name.split("/")[-1] == f"{split}.csv"), None)
        if listing is None:
            raise UserError(f"{archive.filename} has no {split}.csv: is it the 140k archive?")
        with archive.open(listing) as file:
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
        if missing := {"id", "label", "label_str", "path"} - set(table):
            raise UserError(f"{listing} lacks the columns {', '.join(sorted(missing))}")
        contradicting = (table["label"] == "1") != (table["label_str"] == "real")
        if contradicting.any():
            line = table.loc[contradicting].iloc[0]
            raise UserError(
                f"{listing}: {line['id']} is labelled {line['label']} but "
                f"called {line['label_str']!r}; expected 1 for real, 0 for fake"
            )
        tables.append(table.assign(split=split))
    table = pd.concat(tables, ignore_index=True)
    prefix = _prefix(names, table["path"])
    fake = table["label_str"] == "fake"
    return pd.DataFrame(
        {
            "id": table["id"],
            "path": prefix + table["path"],
            "split": table["split"],
            "label": fake.astype(int),
            "generator": fake.map({True: "stylegan", False: ""}),
        }
    )


def _prefix(names: list[str], listed: "pd.Series[str]") -> str:
    """Folder that the csv files leave out (``real_vs_fake/real-vs-fake/`` in the original)."""
    wanted = set(listed)
    for name in names:
        parts = name.split("/")
        if "/".join(parts[-3:]) in wanted:
            return "".join(f"{part}/" for part in parts[:-3])
    return ""
