# SPDX-License-Identifier: Apache-2.0
"""TrueFace: FFHQ photos and StyleGAN faces, before and after Facebook, Telegram and Twitter.

Boato et al., "TrueFace: a Dataset for the Detection of Synthetic Face Images from Social
Networks", IJCB 2022, https://doi.org/10.5281/zenodo.7065064. The copies in use differ in their
folders, so these are read by pattern, whatever their case and depth; of two folders that
contradict each other the inner one is right, and a folder that says two things (``Real_and_Fake``)
says nothing.

class      ``Real``, ``0_Real``, ``Fake``, ``1_Fake``; without these, ``FFHQ`` or a StyleGAN
generator  ``StyleGAN`` (also ``StyleGAN1``), ``StyleGAN2``, ``stylegan-2``, ``stylegan2-ada``
psi        ``images-psi-0.5``, ``conf-f-psi-1``, ``psi_0p7``. A shared fake without one has that of
           its original, if the original is there at one psi only.
platform   ``PreSocial``, ``Facebook``, ``FB`` ... or the end of the file name (``00012_FB.jpg``).
           The folder is believed if they disagree; where more than ``MISLAID`` of a platform's
           files disagree, the folders are mixed up, and the set is refused.
stem       ``ffhq-00168`` or ``stylegan2-01234``: what made the face, and its number. One seed at
           two psi is one face, and so are all copies that passed through a network.
split      Some copies of the set have ``Train`` and ``Test`` (perhaps ``Validation``) with copies
           of one face in both: all files of a stem go where most of them lie, in doubt to train.
           Stems outside such folders are drawn by a hash of their name, in the same shares.
           Where this leaves a side without one of the classes, or there is no ``Train`` or no
           ``Test``, the set has no split.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES, SPLITS
from facetell.images.archive import Archive
from facetell.images.decoding import SUFFIXES

MISLAID = 0.01  # share of a platform's files that may be named after another platform
PRESOCIAL = "presocial"
UNKNOWN = "unknown"  # generator of fakes, if no folder names any
FFHQ_SIZE = 70_000

Meaning = TypeVar("Meaning", int, str)


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-z])")


# all patterns meet lower-case names in which StyleGAN has become style_gan
_CLASSES = {0: _words("reals?"), 1: _words("fakes?", "synthetic", "generated")}
_CLASS_HINTS = {0: re.compile(r"^(?!.*style[-_ ]?gan).*ffhq"), 1: re.compile(r"style[-_ ]?gan")}
_PLATFORMS = {
    PRESOCIAL: re.compile(r"^(?!.*post).*pre[-_ ]?soc|^pre$"),
    "facebook": _words("face[-_ ]?book", "fb"),
    "telegram": _words("telegram", "tl", "tg"),
    "twitter": re.compile(rf"{_words('twitter', 'tw').pattern}|^x$|social[-_ ]x$"),
    # not in the published set; without it such files would pass for originals
    "whatsapp": _words("whats[-_ ]?app", "wa"),
}
_POST = re.compile(r"post[-_ ]?soc|^post$")
_SIDES = {
    "train": _words("train", "training"),
    "valid": _words("val", "valid", "validation"),
    "test": _words("test", "testing"),
}
# the number of the version, not of images (10k) or of psi (0.7)
_GENERATOR = re.compile(
    r"style[-_ ]?gan[-_ v]*(\d(?![.\dk]))?(?:[-_ ]?(ada|xl|t|r)(?![a-z]))?",
)
_PSI = re.compile(r"[-_ ]*psi[-_ =]*(\d+(?:[.,p]\d+)?)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DIGITS = re.compile(r"\d+")
_NETWORK = r"facebook|fb|telegram|tl|tg|twitter|tw|x|whatsapp|wa"
_TAIL = re.compile(  # what is added to a name: network, number of a copy, a second suffix
    rf"(?:[ _-]+(?P<network>{_NETWORK})|[ _-]*\(\d+\)|[ _-]+copy|\.(?:png|jpe?g))+$"
)


class _Folder(NamedTuple):
    """What the folders of a file say; "" where they say nothing."""

    label: int
    what: str  # ffhq or the generator
    psi: float
    platform: str
    post: bool  # after a social network, whichever it was
    side: str


class _Row(NamedTuple):
    path: str
    label: int
    what: str
    psi: float
    stem: str
    number: int  # -1: none
    folder: str  # platform by folder
    suffix: str  # platform by file name
    post: bool
    side: str


def recognises(archive: Archive) -> bool:
    """Whether all fakes are StyleGAN's, and some images came through a social network."""
    try:
        table = rows(archive)
    except UserError:
        return False
    fakes = table.loc[table["label"] == 1, "generator"]
    return fakes.str.startswith("stylegan").all() and bool((table["platform"] != PRESOCIAL).any())


def rows(archive: Archive) -> pd.DataFrame:
    """One row per image whose folders tell its class; see the module for what is read where.

    Raises
    ------
    UserError : a class is missing; a fake's generator or a shared image's platform cannot be
        told; folders and file names contradict each other on the platform.
    """
    table = pd.DataFrame(_rows(archive.names), columns=list(_Row._fields))
    _check_classes(table["label"], archive.label)
    _check_generators(table, archive.label)
    table["platform"] = _platforms(table, archive.label)
    known = (table["label"] == 0) & table["number"].between(0, FFHQ_SIZE - 1)
    return pd.DataFrame(
        {
            "id": table["path"],
            "path": table["path"],
            "split": _splits(table),
            "label": table["label"],
            "person": table["stem"],
            "generator": table["what"].where(table["label"] == 1, ""),
            "platform": table["platform"],
            "stem": table["stem"],
            "ffhq_id": table["number"].astype("Int32").where(known),
            "psi": _psis(table),
        }
    )


def _rows(names: Iterable[str]) -> Iterator[_Row]:
    reading = cache(_read_folders)  # some tens of folders hold some hundred thousand files
    for path in names:
        folders, _, name = path.replace("\\", "/").rpartition("/")
        name, dot, suffix = name.lower().rpartition(".")
        if not name or name[0] == "." or dot + suffix not in SUFFIXES:
            continue
        if (folder := reading(folders)) is None:
            continue
        psi = folder.psi
        if folder.label and "psi" in name:
            psi = _psi([name]) if np.isnan(psi) else psi
            name = _PSI.sub("", name)
        network = ""
        if tail := _TAIL.search(name):
            name, network = name[: tail.start()], tail["network"] or ""
        number = _number(name)
        stem = f"{folder.what}-{name if number < 0 else f'{number:05d}'}"
        yield _Row(
            *(path, folder.label, folder.what, psi, stem, number),
            *(folder.platform, _SUFFIXES[network], folder.post, folder.side),
        )


def _read_folders(path: str) -> _Folder | None:
    """What is known from the folders; None if they are hidden or name no class."""
    parts = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    parts = [_HUMP.sub("_", part).lower() for part in parts]
    label = _said(parts, _CLASSES)
    if label is None:
        label = _said(parts, _CLASS_HINTS)
    if label is None:
        return None
    return _Folder(
        label=label,
        what=_generator(parts) if label else "ffhq",
        psi=_psi(parts) if label else np.nan,
        platform=_said(parts, _PLATFORMS) or "",
        post=any(_POST.search(part) for part in parts),
        side=_said(parts, _SIDES) or "",
    )


def _said(parts: list[str], meanings: Mapping[Meaning, re.Pattern[str]]) -> Meaning | None:
    """The one meaning of the innermost folder that has just one."""
    for part in parts:
        found = [meaning for meaning, pattern in meanings.items() if pattern.search(part)]
        if len(found) == 1:
            return found[0]
    return None


# the end of a file name has the words of the folders
_SUFFIXES = {word: _said([word], _PLATFORMS) or "" for word in ("", *_NETWORK.split("|"))}


def _generator(parts: list[str]) -> str:
    for part in parts:
        if found := _GENERATOR.search(part):
            version, variant = found.groups(default="")
            # the authors' own loaders have StyleGAN1 before and StyleGAN after the networks
            version = "" if version == "1" else version
            return f"stylegan{version}{variant and f'-{variant}'}"
    return UNKNOWN


def _psi(parts: list[str]) -> float:
    for part in parts:
        if found := _PSI.search(part):
            digits = found[1].replace("p", ".").replace(",", ".")
            return float(re.sub(r"^0(?=\d)", "0.", digits))  # psi05 is 0.5
    return np.nan


def _number(name: str) -> int:
    """The number in a name: the only one, or the only one that is long (``v2_00012``)."""
    found = _DIGITS.findall(name)
    if len(found) > 1:
        found = [digits for digits in found if len(digits) >= 4]
    # longer than nine digits it is a date or a hash, and names the face as text
    return int(found[0]) if len(found) == 1 and len(found[0]) <= 9 else -1


def _check_classes(labels: "pd.Series[int]", archive: str) -> None:
    looked_for = ("folders named Real or FFHQ", "folders named Fake or StyleGAN")
    missing = [label for label in (0, 1) if not (labels == label).any()]
    if missing:
        raise UserError(
            f"{archive} has no {' and no '.join(CLASSES[label] for label in missing)} images of "
            f"TrueFace: looked for {' and '.join(looked_for[label] for label in missing)}"
        )


def _check_generators(table: pd.DataFrame, archive: str) -> None:
    fakes = table[table["label"] == 1]
    lacking = fakes["what"] == UNKNOWN
    if lacking.any() and not lacking.all():
        # the same face would have another name here, and its copies could not be kept together
        raise UserError(
            f"{archive}: nothing says which generator made {fakes['path'][lacking].iloc[0]} "
            f"(and {lacking.sum() - 1:,} others); put them into a folder named after it, such as "
            "StyleGAN2"
        )


def _platforms(table: pd.DataFrame, archive: str) -> "pd.Series[str]":
    folder, suffix = table["folder"], table["suffix"]
    wrong = (folder != "") & (suffix != "") & (folder != suffix)
    for platform, share in wrong.groupby(folder).mean().items():
        if share > MISLAID:
            first = table[wrong & (folder == platform)].iloc[0]
            raise UserError(
                f"{archive}: {share:.0%} of the files in folders of {platform} are named after "
                f"another network, such as {first['path']}; rename the folders or the files"
            )
    lost = (folder == "") & (suffix == "") & table["post"]
    if lost.any():
        raise UserError(
            f"{archive}: nothing says which network {table['path'][lost].iloc[0]} went through "
            f"(and {lost.sum() - 1:,} others); put them into a folder named Facebook, Telegram "
            "or Twitter"
        )
    return folder.where(folder != "", suffix).replace("", PRESOCIAL)


def _psis(table: pd.DataFrame) -> "pd.Series[float]":
    """Psi by name; for shared fakes without one, that of the only psi of their originals."""
    original = (table["platform"] == PRESOCIAL) & (table["label"] == 1)
    versions = table.loc[original, ["stem", "psi"]].drop_duplicates()
    only = versions[~versions["stem"].duplicated(keep=False)].set_index("stem")["psi"]
    return table["psi"].fillna(table["stem"].map(only))


def _splits(table: pd.DataFrame) -> "pd.Series[str]":
    """Side of every file by the rule of the module; "" for all if the set has no split."""
    none = pd.Series("", index=table.index)
    inside = table["side"] != ""
    if not {"train", "test"} <= set(table["side"]):
        return none
    votes = pd.crosstab(table["stem"][inside], table["side"][inside])
    votes = votes.reindex(columns=list(SPLITS), fill_value=0)
    side = votes.idxmax(axis=1)  # the first of equals, so train
    shares = side.value_counts(normalize=True)
    outside = set(table["stem"]) - set(side.index)
    sides = side.to_dict() | {
        stem: _drawn(stem, shares.get("test", 0.0), shares.get("valid", 0.0)) for stem in outside
    }
    split = table["stem"].map(sides)
    wanted = {(side, label) for side in {"train", "test", *split} for label in (0, 1)}
    return split if wanted <= set(zip(split, table["label"], strict=True)) else none


def _drawn(stem: str, test: float, valid: float) -> str:
    """By a hash, so that adding files without a side moves no other."""
    at = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8]) / 2**64
    return "test" if at < test else "valid" if at < test + valid else "train"
