# SPDX-License-Identifier: Apache-2.0
"""A user's folders: ``{train,val,valid,test}/{real,fake|synthetic}`` or just ``{real,fake}``."""

from pathlib import PurePosixPath

import pandas as pd

from facetell.common.errors import UserError
from facetell.images.archive import Archive
from facetell.images.decoding import SUFFIXES

CLASSES = {"real": 0, "fake": 1, "synthetic": 1}
SPLITS = {"train": "train", "val": "valid", "valid": "valid", "validation": "valid", "test": "test"}


def rows(archive: Archive) -> pd.DataFrame:
    """One row per image file; a folder below the class names the generator of a fake.

    Raises
    ------
    UserError : a class is missing from a split, or some splits are there but not ``test``.
    """
    images = [
        row
        for name in archive.names
        if PurePosixPath(name).suffix.lower() in SUFFIXES and (row := _row(PurePosixPath(name)))
    ]
    if not images:
        raise UserError(
            f"{archive.label} has no images in folders named real and fake (or synthetic); "
            "expected <root>/{train,valid,test}/{real,fake} or <root>/{real,fake}"
        )
    table = pd.DataFrame(images)
    for split, part in table.groupby("split"):
        _both_classes(str(split), part)
    splits = set(table["split"])
    if splits != {""} and not {"train", "test"} <= splits - {""}:
        raise UserError(
            f"data.root has the splits {', '.join(sorted(splits))}: train and test are both "
            "needed (valid is taken from train if it is missing), or none of them"
        )
    return table


def _both_classes(split: str, part: pd.DataFrame) -> None:
    if part["label"].nunique() < 2:
        lacking = "fake (or synthetic)" if part["label"].iloc[0] == 0 else "real"
        where = PurePosixPath(part["path"].iloc[0])
        raise UserError(
            f"data.root has no {lacking} images{f' for the split {split!r}' if split else ''}: "
            f"looked for a folder named {lacking} beside the one that holds {where}"
        )


def _row(path: PurePosixPath) -> dict[str, object] | None:
    folders = [part.lower() for part in path.parts[:-1]]
    at = next((index for index, part in enumerate(folders) if part in CLASSES), None)
    if at is None:
        return None
    label = CLASSES[folders[at]]
    split = next((SPLITS[part] for part in folders[:at] if part in SPLITS), "")
    return {
        "id": path.as_posix(),
        "path": path.as_posix(),
        "split": split,
        "label": label,
        "generator": "/".join(path.parts[at + 1 : -1]) if label else "",
    }
