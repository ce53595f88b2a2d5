# SPDX-License-Identifier: Apache-2.0
"""From the rows of some sets to one manifest that can be trusted: the work of the `split` stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from facetell.dataset import leaks as gate
from facetell.dataset.copies import pairs
from facetell.dataset.grouping import by_likeness
from facetell.dataset.inspection import look_at
from facetell.dataset.manifest import plan, validated
from facetell.dataset.pair import Pair
from facetell.dataset.splits import Splitting, assign, connected, faces, used
from facetell.images.reencoding import Treatment


class Dataset(NamedTuple):
    """The manifest, the images set aside (set, path, reason), the pairs that show one picture or
    nearly so, by set in words how sources were found ("" where images are independent), and how
    many images show what a later split has.

    Neither ``facetell.dataset.manifest.check`` nor ``facetell.dataset.leaks.gate`` has seen it: a
    caller writes the lists first, which these refer to.
    """

    manifest: pd.DataFrame
    aside: pd.DataFrame
    leaks: pd.DataFrame
    grouped: dict[str, str]
    leaking: int


def build(
    rows: Mapping[str, pd.DataFrame],
    files: Mapping[str, Path],
    splitting: Splitting,
    *,
    grouped: Mapping[str, str] | None = None,
    launder: str | list[str] | None = None,
    harmonise: Treatment | None = None,
    findings: Path | None = None,
    workers: int = 1,
) -> Dataset:
    """Look at every image, group those that show one face, split, and find leaks.

    Parameters
    ----------
    rows : by the set's name, as ``facetell.dataset.layouts.rows`` gives them.
    files : by the set's name its zip, folder of zips, or folder of images.
    grouped : by set how its sources were found; "" or none: nothing tells them but the images.
    launder, harmonise : what is done to the images (``manifest.plan``, ``inspection.look_at``).
    findings : a folder where what is seen of them is kept for the next time; None: nowhere.

    Raises
    ------
    UserError : a platform, set or use that there is not, or a value that breaks the schema.

    >>> from facetell.dataset.layouts import rows
    >>> from facetell.dataset.rendered import RenderedSet, write_archive
    >>> content = RenderedSet(seed=0, size=32, train=8, valid=4, test=4, singles_per_kind=0)
    >>> from facetell.dataset.sources.folder import open_files
    >>> write_archive(Path("demo.zip"), content, workers=1, progress=False)
    >>> with open_files("demo.zip") as archive:
    ...     tables = {"demo": rows("demo", archive)}
    >>> files = {"demo": Path("demo.zip")}
    >>> found = build(tables, files, Splitting(valid=0.15, test=0.15, seed=0))
    >>> found.manifest["split"].value_counts().sort_index().to_dict()
    {'test': 4, 'train': 8, 'valid': 4}
    """
    looked = look_at(plan(rows, launder), files, harmonise, findings=findings, workers=workers)
    table = looked.table
    # pairs that show the same picture or nearly so and are not known to, in any split
    alike = list(pairs(looked.hashes, looked.look, faces(table), workers=workers))
    rules = {name: (grouped or {}).get(name, "") for name in rows}
    rules |= _frames(table, alike, [name for name, rule in rules.items() if not rule])
    # look-alikes stay apart: what is common to a class could tie all of its images together
    copies = np.array([(pair.first, pair.second) for pair in alike if pair.copy], dtype=int)
    face = faces(table, copies)
    split = assign(table, face, splitting)
    table["split"] = used(table.assign(split=split), splitting)
    leaks = gate.find(table, alike)
    leaking = gate.leaking(table, connected(copies, len(table)))
    if splitting.drop and leaking.any():
        table = table[~leaking].reset_index(drop=True)
    return Dataset(validated(table), looked.aside, leaks, rules, int(leaking.sum()))


def _frames(table: pd.DataFrame, alike: list[Pair], names: Sequence[str]) -> dict[str, str]:
    """Give the persons of these sets one name where images are near frames of one video.

    ``table`` is changed; the sets for which that holds, and why.
    """
    found = {}
    rows = table.loc[table["set"].isin(names), ["set", "label", "person"]]
    for (name, _), part in rows.groupby(["set", "label"]):
        place = np.full(len(table), -1)
        place[part.index.to_numpy()] = np.arange(len(part))
        ends = [(int(place[pair.first]), int(place[pair.second])) for pair in alike]
        pairs = [pair for pair in ends if min(pair) >= 0]
        source = by_likeness(len(part), pairs)
        if source is not None:
            first = part["person"].groupby(source).transform("first")
            table.loc[part.index, "person"] = first
            found[str(name)] = "chains of pictures that look alike, as near frames do"
    return found
