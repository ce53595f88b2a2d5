# SPDX-License-Identifier: Apache-2.0
"""The leak gate: nothing that shows the same face may stand on two sides of a split.

Compared across all sets: the file (sha256), the picture (perceptual hash), the person, the stem
and the FFHQ number. When two pictures count as one is decided by the thresholds in ``copies.py``.
"""

import itertools

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset.copies import Pair
from facetell.dataset.splits import RANK, known

KINDS = {  # by column of the manifest, in the words of the list of leaks
    "sha256": "same file",
    "person": "same person",
    "stem": "same stem",
    "ffhq_id": "same FFHQ photo",
}
COPY, ALIKE = "near copy", "look-alike"
COLUMNS = ("kind", "split", "id", "other_split", "other_id", "detail")
LISTED = 20  # rows of one split that are paired for one person, stem or file
MODES = ("fail", "drop")


def find(table: pd.DataFrame, pairs: list[Pair]) -> pd.DataFrame:
    """Pairs on two sides of a split; the first of the two is the one that would be dropped.

    Parameters
    ----------
    table : columns id, split and those of ``KINDS``.
    pairs : of ``facetell.dataset.copies.pairs``, by row of ``table``. Look-alikes are listed too,
        but are no leaks: two outputs of a generator may be hard to tell apart and yet be two.

    Returns
    -------
    Frame with the columns ``COLUMNS``, by kind and name.
    """
    leaking: list[tuple[str, int, int, str]] = []
    rank = table["split"].map(RANK).fillna(-1).to_numpy(dtype=int)  # -1: not used
    for column, kind in KINDS.items():
        leaking += [(kind, *pair) for pair in _by_key(table[column], rank)]
    for pair in pairs:
        kind = COPY if pair.copy else ALIKE
        detail = f"{pair.distance} bits, correlation {pair.correlation:.2f}"
        sides = {rank[pair.first], rank[pair.second]}
        if len(sides) > 1 and -1 not in sides:
            leaking.append((kind, pair.first, pair.second, detail))
    rows = []
    for kind, one, other, detail in leaking:
        low, high = (one, other) if rank[one] < rank[other] else (other, one)
        ends = [(table["split"].iloc[at], table["id"].iloc[at]) for at in (low, high)]
        rows.append((kind, *ends[0], *ends[1], detail))
    order = [*KINDS.values(), COPY, ALIKE]
    leaks = pd.DataFrame(rows, columns=list(COLUMNS))
    leaks["kind"] = pd.Categorical(leaks["kind"], order)
    return leaks.sort_values(list(COLUMNS), ignore_index=True).astype({"kind": str})


def to_drop(table: pd.DataFrame, leaks: pd.DataFrame) -> "pd.Series[bool]":
    """Rows that must go so that no leak is left: training before validation before test."""
    rank = table["split"].map(RANK).fillna(-1).astype(int)
    gone = table["id"].isin(leaks.loc[leaks["kind"] == COPY, "id"])
    for column in KINDS:
        said = known(table[column])
        highest = rank[said].groupby(table.loc[said, column]).transform("max")
        gone |= (highest.reindex(table.index, fill_value=-1) > rank) & (rank >= 0)
    return gone


def gate(leaks: pd.DataFrame, mode: str, where: str) -> None:
    """Stop where there are leaks and ``mode`` is fail.

    Raises
    ------
    UserError : with the number of pairs by kind, ``where`` they are listed, and what to do.
    """
    if mode not in MODES:
        raise UserError(f"data.split.leaks: no {mode!r}; there are {', '.join(MODES)}")
    real = leaks[leaks["kind"] != ALIKE]
    if len(real) and mode == "fail":
        kinds = real["kind"].value_counts(sort=False)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        raise UserError(
            f"leak: {len(real)} pairs of images are on two sides of a split ({listed}), which "
            f"would make a detector look better than it is; they are listed in {where}. Mend the "
            "splits, or let the images on the training side go: -S data.split.leaks=drop"
        )


def _by_key(key: "pd.Series[object]", rank: np.ndarray) -> list[tuple[int, int, str]]:
    """Rows of pairs with one value of ``key`` and different ranks, and the value."""
    rows = np.flatnonzero(known(key) & (rank >= 0))
    codes, values = pd.factorize(key.iloc[rows])
    sides = pd.DataFrame({"code": codes, "rank": rank[rows], "at": rows})
    spread = sides.groupby("code")["rank"].transform("nunique") > 1
    pairs = []
    for code, group in sides[spread].groupby("code"):
        by_side = [part["at"].to_list()[:LISTED] for _, part in group.groupby("rank")]
        for one, other in itertools.combinations(by_side, 2):
            pairs += [(a, b, str(values[int(code)])) for a, b in itertools.product(one, other)]
    return pairs
