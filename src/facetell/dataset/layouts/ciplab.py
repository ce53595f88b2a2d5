# SPDX-License-Identifier: Apache-2.0
"""Kaggle's "Real and Fake Face Detection": faces that experts put together from several photos.

https://www.kaggle.com/datasets/ciplab/real-and-fake-face-detection, Computational Intelligence and
Photography Lab, Yonsei University. A fake is called ``{easy,mid,hard}_<number>_<bits>.jpg``, and
its four bits say which of ``REGIONS`` come from another photo; putting parts of one photo into
another is called splicing. The three grades are a guess of the authors', who advise against taking
them for categories.

The archive holds the same tree twice (``real_and_fake_face`` and, with the same images,
``real_and_fake_face_detection/real_and_fake_face``): each image is taken once. It has no split.
"""

import re

import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.images.archive import Archive
from facetell.images.decoding import SUFFIXES

REGIONS = ("left_eye", "right_eye", "nose", "mouth")  # in the order of the bits
GENERATOR = "splice"

_FOLDER = re.compile(r"(?:training[-_ ]?)?(real|fake)", re.IGNORECASE)
_COPY = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]+copy)+$")
_FAKE = re.compile(r"(easy|mid|hard)_\d+_(?!0000)([01]{4})")


def recognises(archive: Archive) -> bool:
    """Whether fakes are named by grade and bits, as in no other set."""
    keys = (_key(path) for path in archive.names)
    return any(key and key[0] == "fake" and _FAKE.fullmatch(key[1]) for key in keys)


def rows(archive: Archive) -> pd.DataFrame:
    """One row per image, whichever of its copies lies in the fewest folders.

    A fake whose name has no bits is still a fake: its ``regions`` are empty, as nobody knows them,
    and its generator is without a grade.

    Raises
    ------
    UserError : a class is missing, or no fake has bits in its name, as in another set.
    """
    images: dict[tuple[str, str], str] = {}
    for path in sorted(archive.names, key=lambda name: (name.count("/"), len(name), name)):
        if key := _key(path):
            images.setdefault(key, path)
    table = pd.DataFrame(
        [_row(path, kind, name) for (kind, name), path in images.items()],
        columns=["id", "path", "split", "label", "person", "generator", "platform", "regions"],
    )
    for label, kind in enumerate(CLASSES):
        if not (table["label"] == label).any():
            raise UserError(
                f"{archive.label} has no {kind} images: looked for a folder named training_{kind}"
            )
    if not (table["regions"] != "").any():
        raise UserError(
            f"{archive.label}: no image in training_fake is named like easy_1_1110.jpg; is it "
            "Kaggle's ciplab/real-and-fake-face-detection?"
        )
    return table.sort_values("path", ignore_index=True)


def _key(path: str) -> tuple[str, str] | None:
    """Class and name, the same for all copies of an image; None for what is no image of the set."""
    *folders, file = path.replace("\\", "/").removeprefix("./").split("/")
    name, dot, suffix = file.lower().rpartition(".")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in (*folders, file))
    kind = _FOLDER.fullmatch(folders[-1]) if folders else None
    if hidden or kind is None or dot + suffix not in SUFFIXES:
        return None
    return kind[1].lower(), _COPY.sub("", name)


def _row(path: str, kind: str, name: str) -> dict[str, object]:
    fake = _FAKE.fullmatch(name) if kind == "fake" else None
    grade, bits = fake.groups() if fake else ("", "")
    generator = f"{GENERATOR}-{grade}" if grade else GENERATOR
    return {
        "id": path,
        "path": path,
        "split": "",
        "label": CLASSES.index(kind),
        "person": path,
        "generator": generator if kind == "fake" else "",
        "platform": "presocial",
        "regions": "+".join(
            region for region, bit in zip(REGIONS, bits, strict=False) if bit == "1"
        ),
    }
