# SPDX-License-Identifier: Apache-2.0
"""Frames that DeepfakeBench has pre-processed, with its JSON list for each data set.

Yan et al., "DeepfakeBench: A Comprehensive Benchmark of Deepfake Detection", NeurIPS 2023, and the
lists of DF40 (Yan et al., NeurIPS 2024), which have the same form::

    {data set: {label: {train | val | test: {[compression:] {video: {label, frames: [paths]}}}}}}

class      a label that has the word real or fake (``CelebDFv2_fake``), or one of ``LABELS``
generator  the method: the label where a data set has several fake ones, else the data set's name
platform   the compression: ``raw``, ``c23``, ``c40``
person     the video; of the family of FaceForensics++ both sources of a swap (``000_003``)
split      As listed. Many lists name videos twice: where all training videos of a label are also
           test videos, the label has no split, and is drawn; else a test video is none of the
           others. Validation lists that repeat all of the training are none.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from facetell.common.errors import UserError
from facetell.dataset.grouping import tied_sources
from facetell.dataset.hints import Hints
from facetell.dataset.listed import complete, kept_generators
from facetell.dataset.splits import RANK
from facetell.dataset.tree import Vocabulary, hidden
from facetell.images.archive import Archive
from facetell.images.decoding import Unusable

LABELS = {  # fake labels that do not say so, and the methods that they stand for
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
    "DFD_fake": "DeepFakeDetection",
}
FORENSICS = ("FF-", "FaceForensics", "FaceShifter", "DeepFakeDetection")
LOOKED_AT = 20  # JSON files that may show what a set is
PROBES = 50  # listed frames that tell where the paths of a list start
_COMPRESSION = re.compile(r"raw|c\d+")
_DOMAIN = re.compile(r"_(ff|cdf)$|_c\d+$")  # of a list of DF40: whose videos were changed


class Key(NamedTuple):
    """What a list says of a video beside its frames."""

    dataset: str
    label: str
    compression: str
    video: str


@dataclass
class Video:
    """Its splits, which may be several, and its frames as keys, in the order of the list."""

    splits: set[str] = field(default_factory=set)
    frames: dict[str, None] = field(default_factory=dict)


def recognises(archive: Archive) -> bool:
    """Whether one of the first JSON files is a list of videos."""
    lists = [name for name in archive.names if name.lower().endswith(".json") and not hidden(name)]
    for name in lists[:LOOKED_AT]:
        try:
            if any(len(keys) >= 3 for keys, _ in _leaves(_json(archive, name))):
                return True
        except (UserError, Unusable):
            continue
    return False


def rows(archive: Archive, hints: Hints) -> pd.DataFrame:
    """One row per listed frame, once, however many lists have it.

    Raises
    ------
    UserError : there is no list, a list is damaged, none of the listed frames is there, a label is
        not understood, or a frame has both classes.
    """
    names = archive.names
    there, tables, absent = set(names), [], []
    folders = _folders(names)
    for name in names:
        if not name.lower().endswith(".json") or hidden(name):
            continue
        videos = _videos(_json(archive, name), hints.vocabulary)
        if not videos:
            continue
        table = _frames(videos, hints.vocabulary, name)
        start = _start(list(table["path"]), there, folders)
        if start is None:
            absent.append((name, table["path"].iloc[0]))
            continue
        table["path"] = [_moved(path, *start) for path in table["path"]]
        tables.append(table)
    if not tables:
        raise UserError(_nothing(archive, names, absent))
    table = _once(pd.concat(tables, ignore_index=True))
    table["generator"] = kept_generators(table["generator"], hints, archive.label)
    table["id"] = table["path"]
    complete(table, archive.label)
    table.attrs["grouped"] = "the videos of the lists, both sources of a swap together"
    table.attrs["warnings"] = [
        f"none of the frames that {name} lists is there, such as {path}: it is not used"
        for name, path in absent
    ]
    return table


def _nothing(archive: Archive, names: Sequence[str], absent: list[tuple[str, str]]) -> str:
    if absent:
        name, path = absent[0]
        images = [one for one in names if not one.endswith(".json")]
        return f"{archive.label}: none of the frames that {name} lists is there, such as {path}" + (
            f"; there are files such as {images[0]}" if images else ""
        )
    return (
        f"{archive.label} has no list of DeepfakeBench, {{data set: {{label: {{train: {{video: "
        "{label, frames}}}}}: put its JSON files (preprocessing/dataset_json) somewhere below the "
        "folder"
    )


def _json(archive: Archive, name: str) -> Any:
    try:
        return json.loads(archive.read(name).decode("utf-8-sig"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise UserError(f"{archive.label}: {name} is not JSON: {error}") from error


def _videos(content: Any, vocabulary: Vocabulary) -> dict[Key, Video]:
    """The videos of one file; none where it is another kind of JSON."""
    videos: dict[Key, Video] = {}
    for keys, node in _leaves(content):
        frames = [path.replace("\\", "/") for path in node["frames"]]
        if len(keys) < 3 or not frames:
            continue
        dataset, first, *between = keys
        split = vocabulary.split(between[0], between)
        # one list of DFDC has a video's label and frames where the videos should be
        bare = split and len(between) == 1
        video = PurePosixPath(frames[0]).parent.name if bare else between.pop()
        found = next(filter(_COMPRESSION.fullmatch, between), "")
        label = node.get("label")
        key = Key(dataset, label if isinstance(label, str) else first, found, video)
        known = videos.setdefault(key, Video())
        known.splits.update([split] if split else [])
        known.frames.update(dict.fromkeys(frames))
    return videos


def _leaves(node: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every video of a list, with the keys that lead to it."""
    if not isinstance(node, dict):
        return
    frames = node.get("frames")
    if isinstance(frames, list) and all(isinstance(path, str) for path in frames):
        yield keys, node
    for key, child in node.items():
        yield from _leaves(child, (*keys, key))


def _frames(videos: Mapping[Key, Video], vocabulary: Vocabulary, where: str) -> pd.DataFrame:
    """One row per frame of a list; ``path`` as listed."""
    labels = _labels({key.label for key in videos}, vocabulary, where)
    fakes: dict[str, set[str]] = {}
    for key in videos:
        if labels[key.label]:
            fakes.setdefault(key.dataset, set()).add(key.label)
    splits = _resolved(videos)
    found = []
    for key, video in videos.items():
        label = labels[key.label]
        method = _method(key, fakes[key.dataset]) if label else ""
        person = f"{_family(key)}/{key.video}"
        found += [
            (path, label, splits[key], method, key.compression, person) for path in video.frames
        ]
    columns = ["path", "label", "split", "generator", "platform", "person"]
    return pd.DataFrame(found, columns=columns)


def _labels(names: set[str], vocabulary: Vocabulary, where: str) -> dict[str, int]:
    known = {}
    for name in sorted(names):
        label = vocabulary.label(name, whole=False)
        known[name] = 1 if label is None and name in LABELS else label
    if unknown := [name for name, label in known.items() if label is None]:
        raise UserError(
            f"{where}: the labels {', '.join(unknown)} may mean real or fake: say which, "
            "-S 'data.classes={real: [...], fake: [...]}'"
        )
    return {name: int(label) for name, label in known.items() if label is not None}


def _method(key: Key, fakes: set[str]) -> str:
    if key.label in LABELS:
        return LABELS[key.label]
    return key.label if len(fakes) > 1 else LABELS.get(key.dataset, _DOMAIN.sub("", key.dataset))


def _family(key: Key) -> str:
    """Whose videos were changed: names of one family mean the same videos in all of its lists."""
    if key.dataset.endswith("_cdf") or key.dataset.startswith("Celeb-DF"):
        return "Celeb-DF"
    forensics = key.dataset.startswith(FORENSICS) or key.dataset.endswith("_ff")
    return "FaceForensics++" if forensics or key.compression else key.dataset


def _resolved(videos: Mapping[Key, Video]) -> dict[Key, str]:
    """One split for each video, by the rule of the module."""
    groups: dict[tuple[str, str], list[Key]] = {}
    for key in videos:
        groups.setdefault((key.dataset, key.label), []).append(key)
    splits: dict[Key, str] = {}
    for keys in groups.values():
        listed = {
            split: {key for key in keys if split in videos[key].splits}
            for split in ("train", "valid", "test")
        }
        train, test = listed["train"], listed["test"]
        if train and train <= test:
            splits |= dict.fromkeys(keys, "")
            continue
        repeated = train - test <= listed["valid"]
        valid = listed["valid"] - (train if repeated else set())
        for key in keys:
            splits[key] = next(
                (
                    split
                    for split, those in (("test", test), ("valid", valid), ("train", train))
                    if key in those
                ),
                "",
            )
    return splits


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """One row per frame: a test frame of any list is one, as lists share their real videos."""
    if (both := table.groupby("path")["label"].transform("nunique") > 1).any():
        raise UserError(
            f"{table.loc[both, 'path'].iloc[0]} is listed as real and as fake: mend the lists"
        )
    rank = table["split"].map(RANK)
    highest = rank.groupby(table["path"]).transform("max")
    table["split"] = highest.map({number: name for name, number in RANK.items()}).fillna("")
    table = table.drop_duplicates("path").reset_index(drop=True)
    table["person"] = tied_sources(list(table["person"])) or table["person"]
    return table


def _folders(names: Sequence[str]) -> dict[str, list[str]]:
    """Where folders of each name lie: the paths above them, the shortest first."""
    above: dict[str, set[str]] = {}
    seen: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in seen:
            seen.add(folder)
            head, _, last = folder.rpartition("/")
            above.setdefault(last, set()).add(head)
            folder = head
    return {
        name: sorted(heads, key=lambda head: (len(head), head)) for name, heads in above.items()
    }


def _start(
    listed: Sequence[str], there: set[str], folders: Mapping[str, list[str]]
) -> tuple[int, str] | None:
    """How many folders to leave out of listed paths and what to put before them; None: no frame
    is there.

    What is left out is common to all, so that no frame is taken for one of another method.
    """
    parts = [path.split("/") for path in listed]
    first, last = min(parts), max(parts)
    common = 0
    while common < min(len(first), len(last)) - 1 and first[common] == last[common]:
        common += 1
    places = [
        (leave, head) for leave in range(common + 1) for head in folders.get(first[leave], [])
    ]
    for probes in (listed[:: max(1, len(listed) // PROBES)], listed):
        counts = [sum(_moved(path, *place) in there for path in probes) for place in places]
        if any(counts):
            return places[counts.index(max(counts))]
    return None


def _moved(path: str, leave: int, head: str) -> str:
    """
    >>> _moved("/data/rgb/FaceForensics++/a.png", 3, "mine")
    'mine/FaceForensics++/a.png'
    """
    kept = "/".join(path.split("/")[leave:])
    return f"{head}/{kept}" if head else kept
