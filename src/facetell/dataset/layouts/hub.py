# SPDX-License-Identifier: Apache-2.0
"""Parquet shards with the images' bytes and a label, as data sets on the Hugging Face Hub."""

import re
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.listed import column, understood, words
from facetell.dataset.tree import Vocabulary
from facetell.images.archive import Archive
from facetell.images.shards import NAME, Shards

SPLIT = "split of the shard"
_NUMBER = re.compile(r"[-_]\d+([-_]of[-_]\d+)?$")


def rows(archive: Archive, hints: Hints) -> pd.DataFrame:
    """One row per image that has a label; the split is a column's or that of the shard's name.

    Raises
    ------
    UserError : the archive has no shards; or what ``listed.understood`` refuses.
    """
    if not isinstance(archive, Shards):
        raise UserError(f"{archive.label} has no Parquet shards; run the fetch stage again")
    frame = archive.rows()
    shards = pd.Series(frame.index.str.rpartition("/").get_level_values(0), frame.index)
    labels = column(frame.columns, "label", hints, archive.label)
    for name in frame.columns:
        frame[name] = words(_named(frame[name], archive.features.get(name)))
    if labels:  # -1 is how the library datasets says that nobody knows
        frame[labels] = frame[labels].where(frame[labels] != "-1", "")
    if column(frame.columns, "split", hints, archive.label) is None:
        frame["split"] = _splits(shards, hints.vocabulary)
    names = frame[NAME] if NAME in frame else pd.Series("", frame.index)
    table = understood(frame, names, hints, archive.label)
    table["id"] = table["path"] = table.index
    return table.reset_index(drop=True)


def _named(values: "pd.Series[Any]", feature: Any) -> "pd.Series[Any]":
    """Numbers of a class label as the names that the set gives them."""
    names = feature.get("names") if isinstance(feature, dict) else None
    if not names or not pd.api.types.is_numeric_dtype(values):
        return values
    return values.map(lambda number: names[int(number)] if 0 <= number < len(names) else number)


def _splits(shards: "pd.Series[str]", vocabulary: Vocabulary) -> "pd.Series[str]":
    """The split that names of the shards or their folders tell: the innermost; "" where none."""
    parts = {shard: _parts(shard) for shard in shards.unique()}
    everything = [part for both in parts.values() for part in both]
    found = {}
    for shard, names in parts.items():
        told = [vocabulary.split(name, everything) for name in reversed(names)]
        found[shard] = next(filter(None, told), "")
    if len(set(found.values())) > 1 and (lacking := [s for s in found if not found[s]]):
        raise UserError(
            f"the shard {lacking[0]} names no split, although others do: say which it is, "
            f"-S 'data.splits={{train: [{_parts(lacking[0])[-1]}]}}', or data.splits=draw"
        )
    return shards.map(found)


def _parts(shard: str) -> list[str]:
    """The folders and the name of a shard without its number: train-00000-of-00002."""
    *folders, name = shard.split("/")
    return [*folders, _NUMBER.sub("", name)]
