# SPDX-License-Identifier: Apache-2.0
"""A user's masks: beside the images, a folder with a picture of the altered pixels of each fake."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

import pandas as pd

from facetell.common.errors import UserError
from facetell.images.archive import Archive

Parts = tuple[str, ...]


class Masks(NamedTuple):
    """``paths`` has a mask for each fake that has one, by the fake's path; ``unused`` counts
    masks of no fake."""

    paths: dict[str, str]
    unused: int


def inside(folder: str | None, name: str) -> bool:
    """Whether a file lies in the folder of masks, wherever in the archive that is.

    >>> inside("masks", "set/masks/fake/a.png"), inside("masks", "set/fake/masks.png")
    (True, False)
    """
    return bool(folder) and f"/{str(folder).strip('/')}/" in f"/{name}"


def paired(table: pd.DataFrame, archive: Archive, folder: str) -> Masks:
    """The mask of each fake: the file in ``folder`` that is named like it.

    The names are compared without their endings, and all folders of a mask must be among those of
    its image, in their order: ``masks/swap/a.png`` and ``masks/test/a.png`` are masks of
    ``test/fake/swap/a.jpg``, and ``masks/a.png`` as well, if no other fake is named ``a``. Of
    several the one with most folders is taken.

    Parameters
    ----------
    table : columns path and label (1 = fake).

    Raises
    ------
    UserError : there is no such folder, no fake has a mask, or a mask may be of several fakes.
    """
    there = [name for name in archive.names if inside(folder, name)]
    if not there:
        raise UserError(
            f"data.masks: {archive.label} has no folder {folder!r}; it lies beside the images, in "
            "the same archive or folder"
        )
    masks = _by_name(there, folder)
    fakes = table.loc[table["label"] == 1, "path"]
    owners: dict[str, str] = {}
    for path in fakes:
        mask = _found(_parts(path), masks)
        if mask is not None and mask in owners:
            raise UserError(
                f"data.masks: {mask} may be the mask of {owners[mask]} or of {path}: let the "
                f"folders in {folder!r} be those of the images"
            )
        if mask is not None:
            owners[mask] = path
    if not owners:
        raise UserError(
            f"data.masks: no fake has a mask in {folder!r}: {there[0]} is named like none of them, "
            f"such as {fakes.iloc[0]}"
        )
    return Masks({path: mask for mask, path in owners.items()}, len(there) - len(owners))


def _by_name(names: Iterable[str], folder: str) -> dict[str, dict[Parts, str]]:
    """Masks by their name without its ending, and by their path below the folder, most folders
    first."""
    found: dict[str, dict[Parts, str]] = {}
    for name in names:
        parts = _parts(f"/{name}".split(f"/{folder.strip('/')}/", 1)[1])
        same = found.setdefault(parts[-1], {})
        if parts in same:
            raise UserError(f"data.masks: {same[parts]} and {name} are masks of one name")
        same[parts] = name
    return {
        name: dict(sorted(same.items(), key=lambda one: -len(one[0])))
        for name, same in found.items()
    }


def _parts(path: str) -> Parts:
    return PurePosixPath(path).with_suffix("").parts


def _found(parts: Parts, masks: dict[str, dict[Parts, str]]) -> str | None:
    """The mask whose folders are all among the image's."""
    for own, mask in masks.get(parts[-1], {}).items():
        rest = iter(parts)
        if all(part in rest for part in own):
            return mask
    return None
