"""From the rows of some sets to one manifest that can be trusted: the work of the `split` stage."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from facetell.dataset import leaks as gate
from facetell.dataset.copies import Pair, pairs, thumbnail
from facetell.dataset.manifest import check, look_at, plan, validated
from facetell.dataset.splits import assign, faces, used
from facetell.images.archive import Archive, open_archive
from facetell.images.decoding import inspect
from facetell.images.reencoding import Treatment, treatment


class Dataset(NamedTuple):
    """The manifest, the images set aside (set, path, reason), and the pairs across splits."""

    manifest: pd.DataFrame
    aside: pd.DataFrame
    leaks: pd.DataFrame


def build(
    rows: Mapping[str, pd.DataFrame],
    raw: Path,
    *,
    valid: float,
    test: float,
    seed: int,
    drop: bool = False,
    train_on: str | list[str] = "combined",
    uses: Mapping[str, str] | None = None,
    launder: str | list[str] | None = None,
    harmonise: Treatment | None = None,
    workers: int = 1,
) -> Dataset:
    """Look at every image, group those that show one face, split, and find leaks.

    Parameters
    ----------
    rows : by the set's name, as ``facetell.dataset.layouts.rows`` gives them.
    raw : folder with the archives of each set in a folder of its name.
    valid, test, seed : shares of faces drawn where a set has no such split (``splits.assign``).
    drop : leave out the training side of each leak, instead of only listing it.
    train_on, uses : what is trained on and tested (``splits.used``).
    launder, harmonise : what is done to the images (``manifest.plan``, ``manifest.look_at``).

    Raises
    ------
    UserError : a split is left without images of one class, or a value breaks the schema.
    """
    everyone = harmonise or Treatment()
    with ExitStack() as stack:
        # opened before there is much else in memory: reading a listing takes some for a moment
        archives = {name: stack.enter_context(open_archive(raw / name)) for name in rows}
        table, aside, hashes = look_at(plan(rows, launder), raw, everyone, workers=workers)
        alike = _alike(table, hashes, archives, everyone)
    # look-alikes stay apart: what is common to a class could tie all of its images together
    face = faces(table, [(pair.first, pair.second) for pair in alike if pair.copy])
    split = assign(table, face, valid=valid, test=test, seed=seed)
    table["split"] = used(table.assign(split=split), train_on=train_on, uses=dict(uses or {}))
    leaks = gate.find(table, alike)
    if drop:
        table = table[~gate.to_drop(table, leaks)].reset_index(drop=True)
    check(table)
    return Dataset(validated(table), aside, leaks)


def _alike(
    table: pd.DataFrame,
    hashes: np.ndarray,
    archives: Mapping[str, Archive],
    everyone: Treatment,
) -> list[Pair]:
    """Pairs of rows that show the same picture or nearly so and are not known to, in any split."""

    def look(place: int) -> np.ndarray:
        row = table.iloc[place]
        data = treatment(row, everyone)(archives[row["set"]].read(row["path"]), row["id"])
        return thumbnail(inspect(data)[1])

    return list(pairs(hashes, look, faces(table)))
