# SPDX-License-Identifier: Apache-2.0
"""Who is trained on and who is tested: official splits as they are, the others drawn by face.

What shows the same face (person, stem, FFHQ number, the same file, a copy of the picture) is one
group, across sets, and a group is never divided by us.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facetell.common.errors import UserError
from facetell.common.labels import UNUSED

KEYS = ("sha256", "person", "stem", "ffhq_id")  # images equal in one of these show one face
RANK = {"train": 0, "valid": 1, "test": 2}  # a test set stays as it is; others give way
HASHED = 2**16  # values of which hashes are computed at once
USES = ("all", "train", "test")


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """How images are divided among training, validation and test.

    >>> Splitting(valid=0.15, test=0.15, seed=0).train_on
    'combined'
    """

    valid: float
    """Share of the faces, 0 to 1, where a set has no validation split of its own."""

    test: float
    """The same, where it has no split at all."""

    seed: int

    drop: bool = False
    """Leave out the training side of each leak, instead of only listing it."""

    train_on: str | Sequence[str] = "combined"
    """Platforms and sets whose training and validation images are used, or ``combined`` (all).
    Images must be of a named platform, if any is named, and of a named set, if any is. Test images
    stay, whatever their platform and set."""

    uses: Mapping[str, str] = field(default_factory=dict)
    """By set ``all``, ``train`` (its test images are left out) or ``test`` (only them). Where we
    draw, no image is left out for that."""


def faces(table: pd.DataFrame, copies: np.ndarray | None = None) -> np.ndarray:
    """Number of the face that each row shows, int (N,): connected by ``KEYS`` or by ``copies``,
    int (M, 2)."""
    edges = [] if copies is None else [copies.reshape(-1, 2)]
    for key in KEYS:
        rows, codes = repeated(table[key])
        first = np.full(codes.max(initial=-1) + 1, -1, dtype=np.int64)
        first[codes[::-1]] = rows[::-1]
        edges.append(np.stack([first[codes], rows], axis=1))
    return connected(np.concatenate(edges), len(table))


def connected(edges: np.ndarray, number: int) -> np.ndarray:
    """Number of the group of each of ``number`` rows, int (number,); ``edges`` (M, 2) tie two.

    >>> connected(np.array([[0, 2], [2, 3]]), 4)
    array([0, 1, 0, 0], dtype=int32)
    """
    ends = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (*ends.T,)), (number, number))
    return connected_components(graph, directed=False)[1]


def assign(table: pd.DataFrame, face: np.ndarray, splitting: Splitting) -> "pd.Series[str]":
    """A split for every row; ``face`` (N,) are the numbers of ``faces``.

    A set with official splits keeps them (``valid`` is drawn from its training images where it is
    missing). Of the others, a face that has an official split elsewhere follows it, and the rest
    are drawn: shares ``valid`` and ``test`` of the faces of each set and class, in the order of a
    hash of seed and name. Faces that only sets to be tested have are all tested; of those that only
    sets to be trained on have, none is.
    """
    valid, test, seed = splitting.valid, splitting.test, splitting.seed
    split = table["split"].astype(object).where(table["split"].notna(), "")
    sets = table.groupby("set")["split"].unique()
    lacks_valid = {
        name for name, splits in sets.items() if "train" in splits and "valid" not in splits
    }
    open_ = split == ""
    fixed = split[~open_].map(RANK).groupby(face[~open_.to_numpy()]).max()
    sides = {rank: name for name, rank in RANK.items()}
    follows = pd.Series(face, index=table.index).map(fixed).map(sides)
    split = split.where(~open_, follows.fillna(""))
    use = _use(table, face, splitting.uses)
    split[(split == "") & (use == "test")] = "test"
    _draw(split, table, face, (split == "") & (use == "train"), {"valid": valid}, seed)
    _draw(split, table, face, split == "", {"test": test, "valid": valid}, seed)
    more = (split == "train") & table["set"].isin(lacks_valid) & ~open_
    # a face that another set trains on must not be moved to validation
    elsewhere = (split == "train") & ~more
    more &= ~pd.Series(face, index=table.index).isin(face[elsewhere.to_numpy()])
    split[more] = ""
    _draw(split, table, face, more, {"valid": valid}, seed)
    return split


def _use(table: pd.DataFrame, face: np.ndarray, uses: Mapping[str, str]) -> "pd.Series[str]":
    """``test`` or ``train`` where all sets that have the face are for that, else ``all``."""
    wanted = table["set"].map(lambda name: uses.get(name, "all"))
    mine = wanted.groupby(face)
    return wanted.where(mine.transform("nunique") == 1, "all")


def _draw(
    split: "pd.Series[str]",
    table: pd.DataFrame,
    face: np.ndarray,
    where: "pd.Series[bool]",
    shares: dict[str, float],
    seed: int,
) -> None:
    """Fill ``split`` at the rows ``where``: these faces in these shares, the rest in training."""
    if not where.any():
        return
    draw = table.loc[where, ["set", "label", "person"]].assign(face=face[where.to_numpy()])
    groups = draw.groupby("face").agg(
        name=("person", "min"), label=("label", "mean"), set=("set", "min")
    )
    groups["label"] = groups["label"].round()
    groups["order"] = [
        int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8])
        for name in groups["name"]
    ]
    chosen: dict[int, str] = {}
    for _, stratum in groups.sort_values("order").groupby(["set", "label"]):
        start = 0
        for name, portion in shares.items():
            stop = start + (max(1, round(portion * len(stratum))) if portion else 0)
            chosen |= dict.fromkeys(stratum.index[start:stop], name)
            start = stop
    split[where] = [chosen.get(one, "train") for one in draw["face"]]


def used(table: pd.DataFrame, splitting: Splitting) -> "pd.Series[str]":
    """Splits with ``unused`` for what is neither to be trained on nor tested.

    ``table`` has the columns set, platform and split.

    Raises
    ------
    UserError : there is no such platform or set, or no such use.
    """
    split = table["split"].copy()
    for name, use in splitting.uses.items():
        if use not in USES:
            raise UserError(f"data.sets.{name}.use: no {use!r}; there are {', '.join(USES)}")
        mine = table["set"] == name
        if use == "train":
            split[mine & (split == "test")] = UNUSED
        if use == "test":
            split[mine & (split != "test")] = UNUSED
    platforms, sets = named(splitting.train_on, set(table["platform"]), set(table["set"]))
    learnt = split.isin(["train", "valid"])
    for column, wanted in (("platform", platforms), ("set", sets)):
        if wanted:
            split[learnt & ~table[column].isin(wanted)] = UNUSED
    return split


def named(
    train_on: str | Sequence[str], platforms: Iterable[str], sets: Iterable[str]
) -> tuple[list[str], list[str]]:
    """The platforms and the sets that ``train_on`` names; none of either where all are meant.

    Raises
    ------
    UserError : it names what is neither in ``platforms`` nor in ``sets``, nor ``combined``.
    """
    wanted = [train_on] if isinstance(train_on, str) else list(train_on)
    if "combined" in wanted:
        return [], []
    known_platforms, known_sets = sorted(set(platforms)), sorted(set(sets))
    if unknown := sorted({*map(str, wanted)} - {*known_platforms, *known_sets}):
        raise UserError(
            f"data.train_on: no {', '.join(unknown)} in this data; there are the platforms "
            f"{', '.join(known_platforms)}, the sets {', '.join(known_sets)}, and combined"
        )
    chosen = [name for name in known_platforms if name in wanted]
    return chosen, [name for name in known_sets if name in wanted and name not in chosen]


def repeated(column: "pd.Series[Any]") -> tuple[np.ndarray, np.ndarray]:
    """Rows whose value other rows have, too, and a number for each such value; int (M,) both.

    What is missing or empty is no value.

    >>> repeated(pd.Series(["a", "", "b", "a", ""]))
    (array([0, 3]), array([0, 0]))
    """
    # most values of a large set are there once: short hashes find them with little memory
    parts = [column.iloc[at : at + HASHED] for at in range(0, max(1, len(column)), HASHED)]
    hashes = pd.concat([hash_pandas_object(part, index=False, categorize=False) for part in parts])
    rows = np.flatnonzero(hashes.duplicated(keep=False))
    values = column.iloc[rows]
    known = (values.notna() & (values.astype(str) != "")).to_numpy()
    rows, (codes, _) = rows[known], pd.factorize(values[known])
    again = np.bincount(codes)[codes] > 1
    return rows[again], codes[again]
