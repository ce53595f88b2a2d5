# SPDX-License-Identifier: Apache-2.0
"""A user's folders, whose names say real or fake, and train, valid or test, in any order."""

from collections import Counter
from pathlib import PurePosixPath

import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.dataset.census import images
from facetell.dataset.generators import generators
from facetell.dataset.grouping import by_names
from facetell.dataset.hints import Hints
from facetell.dataset.masks import inside
from facetell.dataset.tree import Folders, Place, shown
from facetell.images.archive import Archive


def rows(archive: Archive, hints: Hints) -> pd.DataFrame:
    """One row per image; ``person`` is its source, where folders or names tell one.

    Raises
    ------
    UserError : no folder names a class, a class is missing from a split, or some splits are there
        but not train and test; or what ``Vocabulary.understand`` refuses.
    """
    files = [name for name in images(archive) if not inside(hints.masks, name)]
    folders = [PurePosixPath(name).parts[:-1] for name in files]
    counts = Counter(folders)
    understood = hints.vocabulary.understand(counts)
    labelled = [
        (name, understood[folder])
        for name, folder in zip(files, folders, strict=True)
        if understood[folder].label is not None
    ]
    if not labelled:
        raise UserError(
            f"{archive.label} has no images in folders named real and fake, or the like; expected "
            "<root>/{train,valid,test}/{real,fake} or <root>/{real,fake}"
            + (f", but there is\n{shown(counts, understood)}\n" if files else ", and no images. ")
            + "Other names can be said: data.classes={real: [NAME], fake: [NAME]}"
        )
    table = _table(labelled, hints)
    for split, part in table.groupby("split"):
        _both_classes(str(split), part, counts, understood)
    splits = set(table["split"])
    if splits != {""} and not {"train", "test"} <= splits:
        raise UserError(
            f"data.root has the splits {', '.join(sorted(splits))}: train and test are both "
            "needed (valid is taken from train if it is missing), or none of them: "
            "data.splits=draw ignores what the folders say"
        )
    return table


def _table(labelled: list[tuple[str, Place]], hints: Hints) -> pd.DataFrame:
    paths = [path for path, _ in labelled]
    places = [place for _, place in labelled]
    names, below = generators(places, hints.generators)
    labels = [int(place.label or 0) for place in places]
    splits = [place.split for place in places]
    found = by_names(paths, below, labels, splits)
    table = pd.DataFrame(
        {
            "id": paths,
            "path": paths,
            "split": splits,
            "label": labels,
            "person": found.source.to_numpy(),
            "generator": names,
        }
    )
    table.attrs["grouped"] = found.rule
    return table


def _both_classes(
    split: str, part: pd.DataFrame, counts: Counter[Folders], understood: dict[Folders, Place]
) -> None:
    if part["label"].nunique() < 2:
        lacking = CLASSES[1 - part["label"].iloc[0]]
        where = PurePosixPath(part["path"].iloc[0])
        raise UserError(
            f"data.root has no {lacking} images{f' for the split {split!r}' if split else ''}: "
            f"looked for a folder named {lacking}, or the like, beside the one that holds {where}. "
            f"Understood was:\n{shown(counts, understood)}"
        )
