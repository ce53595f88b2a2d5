# SPDX-License-Identifier: Apache-2.0
"""Which images come from one source (a video, an identity, the photos of a swap), read from names.

Images of one source are not independent: they belong on one side of a split, and an interval has
to draw them together. Where names and folders tell nothing, each image is taken for independent,
and that is said.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facetell.common.errors import UserError

LARGEST = 0.25  # of all images: what holds more is a kind (real_, stylegan_), no source
FEWEST = 10  # sources: fewer are kinds as well
FEWEST_NUMBERED = 4  # if their names hold numbers, as those of videos do
FRAMES = 0.3  # of all images: as many have a look-alike where images are frames of videos
TIED = 0.5  # of all images: swaps that tie more of them together leave nothing to divide
FRAME = re.compile(
    r"^(?P<source>.*?[^\W_].*?)[ _.-]*?(?:frame|frm|img|f|t)?[ _.-]*(?P<frame>\d+)$", re.IGNORECASE
)
COPIES = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]+copy)+$", re.IGNORECASE)
PAIR = re.compile(r"^(?P<one>[^\W_]*\d[^\W_]*)[_-](?P<other>[^\W_]*\d[^\W_]*)(?:$|[_-])")


@dataclass(frozen=True)
class Grouping:
    """Names of the sources, (N,), and in words how they were found; ``rule`` is "" where each
    image is taken for a source of its own."""

    source: "pd.Series[str]"
    rule: str

    @property
    def number(self) -> int:
        return int(self.source.nunique())


def by_rule(table: pd.DataFrame, rule: str) -> Grouping:
    """Sources as the user says them.

    Parameters
    ----------
    table : columns path and perhaps others.
    rule : a column of the table, or a regular expression that is searched in the path; its first
        group names the source, or the whole match where it has none.

    Raises
    ------
    UserError : neither a column nor an expression, or it does not match every path.

    >>> table = pd.DataFrame({"path": ["real/v1_001.jpg", "real/v1_002.jpg", "fake/v2_001.jpg"]})
    >>> by_rule(table, r"(v[0-9]+)_").source.tolist()
    ['v1', 'v1', 'v2']
    """
    if rule in table:
        column = table[rule].astype("string").fillna("")
        if (column == "").any():
            lacking = table.loc[column == "", "path"].iloc[0]
            raise UserError(f"data.group: the column {rule} is empty for {lacking}")
        return Grouping(column.astype(object), column_rule(rule))
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise UserError(
            f"data.group: {rule!r} is neither a column ({', '.join(map(str, table))}) nor a "
            f"regular expression: {error}"
        ) from error
    found = [expression.search(path) for path in table["path"]]
    for path, match in zip(table["path"], found, strict=True):
        if match is None:
            raise UserError(
                f"data.group: {rule!r} is no column, and as a regular expression it does not match "
                f"{path}"
            )
    sources = [match[1 if expression.groups else 0] or "" for match in found if match]
    return Grouping(pd.Series(sources, table.index, dtype=object), f"data.group={rule}")


def column_rule(name: str) -> str:
    """In words that a column names the sources.

    >>> column_rule("video")
    'the column video'
    """
    return f"the column {name}"


def by_names(
    paths: Sequence[str],
    below: Sequence[tuple[str, ...]],
    labels: Sequence[int],
    splits: Sequence[str],
) -> Grouping:
    """Sources as folders and file names tell them.

    Parameters
    ----------
    paths : of the images, (N,).
    below : of each image the folders that name neither class, split nor generator.
    labels : 0 real, 1 fake, (N,).
    splits : official ones, "" where there are none, (N,). Names that begin anew in each split, so
        that the same frame of the same source is in two, are taken for different sources.

    Tried in this order: folders (one for each video or identity; not shards of a numbered set),
    then what stands before the frame's number in the file's name. Names of two sources
    (``003_000``, as FaceForensics++ calls a swap) tie both.

    >>> paths = [f"{name}/{frame}.png" for name in ("a1", "a2", "a3", "a4") for frame in range(3)]
    >>> found = by_names(paths, [(path[:2],) for path in paths], [0] * 12, [""] * 12)
    >>> found.number, found.rule
    (4, 'folders')
    """
    stems = [COPIES.sub("", PurePosixPath(path).stem) for path in paths]
    folders = ["/".join(parts) for parts in _varying(below, labels)]
    numbers = [f"{label}/{stem}" for label, stem in zip(labels, stems, strict=True)]
    for names, rule in ((folders, "folders"), (_sources(stems), "file names")):
        if _are_sources(names, numbers, of_folders=rule == "folders"):
            # images that lie beside the folders are on their own
            keys = [name or path for name, path in zip(names, paths, strict=True)]
            keys = _begun_anew(keys, numbers, splits)
            tied = tied_sources(keys)
            sources = pd.Series(tied if tied is not None else keys, dtype=object)
            return Grouping(sources, rule + (", both sources of a swap together" if tied else ""))
    return Grouping(pd.Series(list(paths), dtype=object), "")


def by_likeness(size: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray | None:
    """Sources of images whose names tell nothing: chains of look-alikes, as near frames are.

    A few look-alikes occur in every large set, and are no frames: there must be many, in chains
    none of which takes in most images.

    Parameters
    ----------
    size : number of images of one set and class.
    pairs : of look-alikes among them, first < second.

    Returns
    -------
    Number of the source of each image, (N,); None where they are no frames.

    >>> by_likeness(12, [(0, 1), (1, 2), (3, 4), (6, 7), (9, 10), (10, 11)])
    array([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 5], dtype=int32)
    >>> by_likeness(100, [(0, 1)]) is None
    True
    """
    if not pairs or len({at for pair in pairs for at in pair}) < FRAMES * size:
        return None
    first, second = np.array(pairs).T
    graph = coo_array((np.ones(len(pairs)), (first, second)), (size, size))
    source = connected_components(graph, directed=False)[1]
    return source if np.bincount(source).max() <= LARGEST * size else None


def _begun_anew(keys: list[str], numbers: Sequence[str], splits: Sequence[str]) -> list[str]:
    """Sources with their split before them where most that occur in two splits share a frame."""
    frames = pd.DataFrame({"source": keys, "number": numbers, "split": splits})
    several = frames.groupby("source")["split"].transform("nunique") > 1
    shared = frames[several]
    if shared.empty:
        return keys
    twice = shared.groupby(["source", "number"])["split"].nunique() > 1
    if twice.groupby("source").any().mean() < 0.5:
        return keys  # frames of one source lie in two splits: a leak
    return [f"{split}/{key}" for split, key in zip(splits, keys, strict=True)]


def _varying(below: Sequence[tuple[str, ...]], labels: Sequence[int]) -> list[tuple[str, ...]]:
    """Folders without those that all images of a class share, such as youtube/c23/frames/000."""
    shared: dict[tuple[int, int], set[str]] = {}
    for parts, label in zip(below, labels, strict=True):
        for level, name in enumerate(parts):
            shared.setdefault((label, level), set()).add(name)
    return [
        tuple(name for level, name in enumerate(parts) if len(shared[label, level]) > 1)
        for parts, label in zip(below, labels, strict=True)
    ]


def _sources(stems: Sequence[str]) -> list[str]:
    """What stands before the number at the end of a name, "" where nothing does."""
    return [match["source"] if (match := FRAME.match(stem)) else "" for stem in stems]


def _are_sources(names: Sequence[str], numbers: Sequence[str], *, of_folders: bool) -> bool:
    """Whether names divide the images into sources of several images each."""
    counts = Counter(name for name in names if name)
    named = sum(counts.values())
    numbered = sum(any(map(str.isdigit, name)) for name in counts) >= 0.9 * len(counts)
    if len(counts) < (FEWEST_NUMBERED if numbered else FEWEST):
        return False
    if max(counts.values()) > LARGEST * len(names):
        return False
    several = sum(number for number in counts.values() if number > 1)
    if not of_folders:  # most names must be frames of something, not numbers of photos
        return named >= 0.9 * len(names) and several >= 0.9 * named
    return several >= 0.5 * named and not _shards(names, numbers)


def _shards(names: Sequence[str], numbers: Sequence[str]) -> bool:
    """Whether folders only divide images that are numbered across them, as FFHQ's 00000, 01000.

    ``numbers`` are class and number, such as ``0/00017``.
    """
    if not all(name.replace("/", "").isdigit() for name in names if name):
        return False
    numbered = [number for number, name in zip(numbers, names, strict=True) if name]
    plain = all(number.partition("/")[2].isdigit() for number in numbered)
    return plain and len(set(numbered)) == len(numbered)


def tied_sources(keys: Sequence[str]) -> list[str] | None:
    """Sources of which a name tells two, tied together; None where there are none, or where that
    would tie most of the images to each other.

    >>> tied_sources(["000", "003", "000_003", "017", "020", "020_017"])
    ['000', '000', '000', '017', '017', '017']
    """
    present = set(keys)
    pairs = {}
    for key in present:
        before, _, name = key.rpartition("/")
        match = PAIR.match(name)
        if match is None:
            continue
        lead = f"{before}/" if before else ""
        both = (lead + match["one"], lead + match["other"])
        reverse = f"{lead}{match['other']}_{match['one']}"
        # one of both has images of its own, or the swap was made the other way as well
        if set(both) & present or reverse in present:
            pairs[key] = both
    if not pairs:
        return None
    everyone = present.union(*pairs.values())
    nodes = {name: at for at, name in enumerate(sorted(everyone))}
    ends = np.array([(nodes[key], nodes[name]) for key, both in pairs.items() for name in both])
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (len(nodes),) * 2)
    component = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    for name, at in nodes.items():
        first.setdefault(int(component[at]), name)
    tied = [first[int(component[nodes[key]])] for key in keys]
    return tied if max(Counter(tied).values()) <= TIED * len(keys) else None
