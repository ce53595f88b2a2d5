# SPDX-License-Identifier: Apache-2.0
"""From the rows of some sets to one manifest that can be trusted: the work of the `split` stage."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from facetell.dataset import leaks as gate
from facetell.dataset.copies import Pair, pairs, thumbnail
from facetell.dataset.manifest import look_at, plan, validated
from facetell.dataset.splits import Splitting, assign, faces, used
from facetell.images.archive import Archive, open_archive
from facetell.images.decoding import inspect
from facetell.images.reencoding import Treatment, treatment


class Dataset(NamedTuple):
    """The manifest, the images set aside (set, path, reason), and the pairs across splits.

    Neither ``facetell.dataset.manifest.check`` nor ``facetell.dataset.leaks.gate`` has seen it: a
    caller writes the lists first, which these refer to.
    """

    manifest: pd.DataFrame
    aside: pd.DataFrame
    leaks: pd.DataFrame


def build(
    rows: Mapping[str, pd.DataFrame],
    raw: Path,
    splitting: Splitting,
    *,
    launder: str | list[str] | None = None,
    harmonise: Treatment | None = None,
    workers: int = 1,
) -> Dataset:
    """Look at every image, group those that show one face, split, and find leaks.

    Parameters
    ----------
    rows : by the set's name, as ``facetell.dataset.layouts.rows`` gives them.
    raw : folder with the archives of each set in a folder of its name.
    launder, harmonise : what is done to the images (``manifest.plan``, ``manifest.look_at``).

    Raises
    ------
    UserError : a platform, set or use that there is not, or a value that breaks the schema.

    >>> from facetell.dataset.layouts import rows
    >>> from facetell.dataset.rendered import RenderedSet, write_archive
    >>> raw = Path("raw")
    >>> (raw / "demo").mkdir(parents=True)
    >>> content = RenderedSet(seed=0, size=32, train=8, valid=4, test=4, singles_per_kind=0)
    >>> write_archive(raw / "demo/demo.zip", content, workers=1, progress=False)
    >>> with open_archive(raw / "demo") as archive:
    ...     tables = {"demo": rows("demo", archive)}
    >>> found = build(tables, raw, Splitting(valid=0.15, test=0.15, seed=0))
    >>> found.manifest["split"].value_counts().sort_index().to_dict()
    {'test': 4, 'train': 8, 'valid': 4}
    """
    everyone = harmonise or Treatment()
    with ExitStack() as stack:
        # opened before there is much else in memory: reading a listing takes some for a moment
        archives = {name: stack.enter_context(open_archive(raw / name)) for name in rows}
        table, aside, hashes = look_at(plan(rows, launder), raw, everyone, workers=workers)
        alike = _alike(table, hashes, archives, everyone)
    # look-alikes stay apart: what is common to a class could tie all of its images together
    face = faces(table, [(pair.first, pair.second) for pair in alike if pair.copy])
    split = assign(table, face, splitting)
    table["split"] = used(table.assign(split=split), splitting)
    leaks = gate.find(table, alike)
    if splitting.drop:
        table = table[~gate.to_drop(table, leaks)].reset_index(drop=True)
    return Dataset(validated(table), aside, leaks)


def _alike(
    table: pd.DataFrame,
    hashes: np.ndarray,
    archives: Mapping[str, Archive],
    everyone: Treatment,
) -> list[Pair]:
    """Pairs of rows that show the same picture or nearly so and are not known to, in any split."""

    def look(index: int) -> np.ndarray:
        row = table.iloc[index]
        data = treatment(row, everyone)(archives[row["set"]].read(row["path"]), row["id"])
        return thumbnail(inspect(data)[1])

    return list(pairs(hashes, look, faces(table)))
