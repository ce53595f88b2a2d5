# SPDX-License-Identifier: Apache-2.0
"""Kaggle's "140k Real and Fake Faces": three csv files give the official splits.

In those files label 1 means real; here, as everywhere in facetell, 1 means fake. Names of real
images are numbers of FFHQ photos.
"""

import io

import pandas as pd

from facetell.common.errors import UserError, brief
from facetell.common.labels import CLASSES, SPLITS
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable

FFHQ = 70_000  # photos


def recognises(archive: Archive) -> bool:
    """Whether the three csv files are there, with the columns that only this set has."""
    for split in SPLITS:
        name = _listed(archive, split)
        if name is None or b"label_str" not in archive.read(name, 4096).split(b"\n")[0]:
            return False
    return True


def rows(archive: Archive) -> pd.DataFrame:
    """One row per line of ``train.csv``, ``valid.csv`` and ``test.csv``."""
    table = pd.concat([_listing(archive, split) for split in SPLITS], ignore_index=True)
    fake = table["label_str"] == "fake"
    number = pd.to_numeric(table["id"].where(~fake), errors="coerce")
    number = number.where(number.between(0, FFHQ - 1)).astype("Int32")
    ffhq = "ffhq-" + number.astype("string").str.zfill(5)
    return pd.DataFrame(
        {
            "id": table["id"],
            "path": _prefix(archive.names, table["path"]) + table["path"],
            "split": table["split"],
            "label": fake.astype(int),
            "generator": fake.map({True: "stylegan", False: ""}),
            "stem": ffhq.fillna(table["id"]),
            "ffhq_id": number,
        }
    )


def _listed(archive: Archive, split: str) -> str | None:
    return next((name for name in archive.names if name.split("/")[-1] == f"{split}.csv"), None)


def _listing(archive: Archive, split: str) -> pd.DataFrame:
    name = _listed(archive, split)
    if name is None:
        raise UserError(f"{archive.label} has no {split}.csv: is it the 140k archive?")
    try:
        table = pd.read_csv(io.BytesIO(archive.read(name)), dtype=str, keep_default_na=False)
    except (ValueError, Unusable) as error:  # pandas' errors and those of Unicode are ValueErrors
        raise UserError(f"{name} in {archive.label} cannot be read: {brief(error)}") from error
    if missing := {"id", "label", "label_str", "path"} - set(table):
        raise UserError(f"{name} lacks the columns {', '.join(sorted(missing))}")
    if unknown := sorted(set(table["label_str"]) - set(CLASSES)):
        raise UserError(f"{name}: label_str is {unknown[0]!r}; expected real or fake")
    contradicting = (table["label"] == "1") != (table["label_str"] == "real")
    if contradicting.any():
        line = table.loc[contradicting].iloc[0]
        raise UserError(
            f"{name}: {line['id']} is labelled {line['label']} but "
            f"called {line['label_str']!r}; expected 1 for real, 0 for fake"
        )
    return table.assign(split=split)


def _prefix(names: list[str], listed: "pd.Series[str]") -> str:
    """Folder that the csv files leave out (``real_vs_fake/real-vs-fake/`` in the original)."""
    wanted = set(listed)
    for name in names:
        parts = name.split("/")
        if "/".join(parts[-3:]) in wanted:
            return "".join(f"{part}/" for part in parts[:-3])
    return ""
