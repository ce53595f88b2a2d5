# SPDX-License-Identifier: Apache-2.0
"""The leak gate: nothing that shows the same face may stand on two sides of a split.

Listed as well are copies inside a split, which count for less than their number, and files that
bear both labels, one of which is wrong.

Compared across all sets: the file (sha256), the picture (perceptual hash), the person, the stem
and the FFHQ number. When two pictures count as one is decided by the thresholds in ``pair.py``.
"""

import itertools

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset.pair import Pair
from facetell.dataset.splits import RANK, repeated

KINDS = {  # by column of the manifest, in the words of the list of leaks
    "sha256": "same file",
    "person": "same person",
    "stem": "same stem",
    "ffhq_id": "same FFHQ photo",
}
COPY, ALIKE = "near copy", "look-alike"
BOTH_LABELS = "same file with both labels"
INSIDE = {"file": "same file in one split", "copy": "near copy in one split"}
OTHER_LABEL = "near copy with the other label"  # a fake that keeps most of its photo, or a mistake
HARMLESS = (ALIKE, OTHER_LABEL, *INSIDE.values())  # kinds that are listed, but are no leaks
COLUMNS = ("kind", "split", "id", "other_split", "other_id", "detail")
LISTED = 20  # rows of one split that are paired for one person, stem or file
MODES = ("fail", "drop", "keep")


def find(table: pd.DataFrame, pairs: list[Pair]) -> pd.DataFrame:
    """Pairs on two sides of a split; the first of the two is the one that would be dropped.

    Parameters
    ----------
    table : columns id, split, label and those of ``KINDS``.
    pairs : of ``facetell.dataset.copies.pairs``, by row of ``table``. Look-alikes are listed too,
        but are no leaks: two outputs of a generator may be hard to tell apart and yet be two.

    Returns
    -------
    Frame with the columns ``COLUMNS``, by kind and name; ``HARMLESS`` kinds and ``BOTH_LABELS``
    may lie in one split.
    """
    leaking: list[tuple[str, int, int, str]] = []
    rank = table["split"].map(RANK).fillna(-1).to_numpy(dtype=int)  # -1: not used
    label = table["label"].to_numpy(dtype=int)
    for column, kind in KINDS.items():
        leaking += [(kind, *pair) for pair in _by_key(table[column], rank)]
    for pair in pairs:
        kind = COPY if pair.copy else ALIKE
        detail = f"{pair.distance} bits, correlation {pair.correlation:.2f}"
        sides = {rank[pair.first], rank[pair.second]}
        if -1 in sides or (len(sides) == 1 and not pair.copy):
            continue
        if len(sides) == 1:
            kind = OTHER_LABEL if label[pair.first] != label[pair.second] else INSIDE["copy"]
        leaking.append((kind, pair.first, pair.second, detail))
    leaking += _same_files(table["sha256"], rank, label)
    rows = []
    for kind, one, other, detail in leaking:
        low, high = (one, other) if rank[one] <= rank[other] else (other, one)
        ends = [(table["split"].iloc[at], table["id"].iloc[at]) for at in (low, high)]
        rows.append((kind, *ends[0], *ends[1], detail))
    order = [BOTH_LABELS, *KINDS.values(), COPY, *HARMLESS]
    leaks = pd.DataFrame(rows, columns=list(COLUMNS))
    leaks["kind"] = pd.Categorical(leaks["kind"], order)
    return leaks.sort_values(list(COLUMNS), ignore_index=True).astype({"kind": str})


def leaking(table: pd.DataFrame, picture: np.ndarray) -> np.ndarray:
    """Rows that show what a later split has: training before validation before test; bool (N,).

    Without them no leak is left.

    Parameters
    ----------
    table : columns split and those of ``KINDS``.
    picture : int (N,), one number for all copies of a picture, also those that are tied by others
        only: of a large cluster not every pair is known.

    >>> table = pd.DataFrame({"split": ["train", "train", "test"]}).assign(**dict.fromkeys(KINDS))
    >>> leaking(table, np.array([0, 1, 0]))
    array([ True, False, False])
    """
    rank = table["split"].map(RANK).fillna(-1).to_numpy(dtype=int)
    gone = rank < _highest(rank, picture)
    for column in KINDS:
        rows, value = repeated(table[column])
        gone[rows] |= rank[rows] < _highest(rank[rows], value)
    return gone & (rank >= 0)


def _highest(rank: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Of the group of each row, (N,)."""
    highest = np.full(group.max(initial=-1) + 1, -1)
    np.maximum.at(highest, group, rank)
    return highest[group]


def gate(leaks: pd.DataFrame, mode: str, where: str) -> None:
    """Stop where a file bears both labels, or where there are leaks and ``mode`` is fail.

    Raises
    ------
    UserError : with the number of pairs by kind, ``where`` they are listed, and what to do.
    """
    if mode not in MODES:
        raise UserError(f"data.split.leaks: no {mode!r}; there are {', '.join(MODES)}")
    contradictions = leaks[leaks["kind"] == BOTH_LABELS]
    if len(contradictions):
        one = contradictions.iloc[0]
        raise UserError(
            f"{len(contradictions)} pairs of images are one file, once called real and once fake, "
            f"such as {one['id']} and {one['other_id']}; they are listed in {where}. Remove or "
            "rename those that are called what they are not"
        )
    real = leaks[~leaks["kind"].isin(HARMLESS)]
    if len(real) and mode == "fail":
        kinds = real["kind"].value_counts(sort=False)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        raise UserError(
            f"leak: {len(real)} pairs of images are on two sides of a split ({listed}), which "
            f"would make a detector look better than it is; they are listed in {where}. Mend the "
            "splits, or let the images on the training side go: -S data.split.leaks=drop (keep "
            "trains on them all the same, to measure what the leak is worth)"
        )


def worth(leaks: pd.DataFrame, images: int, mode: str, where: str) -> list[str]:
    """What was done about leaks that did not stop the run; ``where`` they are listed, of how many
    ``images``."""
    real = leaks[~leaks["kind"].isin((*HARMLESS, BOTH_LABELS))]
    if real.empty or mode == "fail":
        return []
    done = {"drop": "left out", "keep": "kept in training"}[mode]
    return [
        f"the splits leak: {images:,} images that show what is in another split are "
        f"{done} (data.split.leaks={mode}); their {len(real):,} pairs are in {where}"
    ]


def _same_files(
    sha256: "pd.Series[str]", rank: np.ndarray, label: np.ndarray
) -> list[tuple[str, int, int, str]]:
    """Files that occur again: in one split, or anywhere with the other label."""
    rows, files = repeated(sha256)
    used = rank[rows] >= 0
    found = []
    for _, group in pd.Series(rows[used]).groupby(files[used]):
        first, *others = group.to_list()
        for other in others[:LISTED]:
            if label[first] != label[other]:
                found.append((BOTH_LABELS, first, other, str(sha256.iloc[first])))
            elif rank[first] == rank[other]:
                found.append((INSIDE["file"], first, other, str(sha256.iloc[first])))
    return found


def twins_in_training(leaks: pd.DataFrame) -> list[str]:
    """Ids of test images with a near copy or a look-alike among the training images, sorted.

    They are listed whether or not the training side was dropped.
    """
    twins = leaks[
        leaks["kind"].isin((COPY, ALIKE))
        & (leaks["split"] == "train")
        & (leaks["other_split"] == "test")
    ]
    return sorted(set(twins["other_id"]))


def effective(table: pd.DataFrame, leaks: pd.DataFrame) -> dict[str, int]:
    """Images of each split that are no copies of another one there."""
    copies = leaks[leaks["kind"].isin(INSIDE.values())]
    again = set(copies["other_id"]) if len(copies) else set()
    kept = table.loc[~table["id"].isin(again), "split"]
    return {split: int((kept == split).sum()) for split in RANK}


def _by_key(key: "pd.Series[object]", rank: np.ndarray) -> list[tuple[int, int, str]]:
    """Rows of pairs with one value of ``key`` and different ranks, and the value."""
    rows, codes = repeated(key)
    sides = pd.DataFrame({"code": codes, "rank": rank[rows], "at": rows})[rank[rows] >= 0]
    spread = sides.groupby("code")["rank"].transform("nunique") > 1
    pairs = []
    for _, group in sides[spread].groupby("code"):
        by_side = [part["at"].to_list()[:LISTED] for _, part in group.groupby("rank")]
        for one, other in itertools.combinations(by_side, 2):
            pairs += [(a, b, str(key.iloc[a])) for a, b in itertools.product(one, other)]
    return pairs
