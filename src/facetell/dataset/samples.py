# SPDX-License-Identifier: Apache-2.0
"""Pictures to look at: the first ones of each class and generator, not picked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from facetell.common.labels import CLASSES, SPLITS
from facetell.images.decoding import decode_inspected
from facetell.images.loading import fit

PER_SPLIT = 4  # images of a group
MOST = 24  # groups of a class that are shown: the largest ones
SIDE = 128  # px


class Group(NamedTuple):
    """Pictures of one class and generator, uint8 (S, S, 3), by split."""

    label: str
    generator: str
    images: int  # of the group in all
    pictures: dict[str, list[np.ndarray]]


def groups(manifest: pd.DataFrame, read: Callable[[Mapping[str, Any]], bytes]) -> Iterator[Group]:
    """Samples of each group, real ones first, large ones before small ones.

    Parameters
    ----------
    manifest : columns id, split, label, generator, and those that ``read`` needs.
    read : gives the bytes of the image of a row.
    """
    sizes = manifest.groupby(["label", "generator"], sort=False).size().rename("size").reset_index()
    sizes = sizes.sort_values("size", ascending=False, kind="stable")
    sizes = sizes.sort_values("label", kind="stable").groupby("label").head(MOST)
    for label, generator, number in sizes.itertuples(index=False):
        mine = (manifest["label"] == label) & (manifest["generator"] == generator)
        chosen = {
            split: manifest.iloc[np.flatnonzero(mine & (manifest["split"] == split))[:PER_SPLIT]]
            for split in SPLITS
        }
        yield Group(
            CLASSES[int(label)],
            str(generator),
            int(number),
            {
                split: [picture(read(row)) for row in rows.to_dict("records")]
                for split, rows in chosen.items()
            },
        )


def picture(data: bytes) -> np.ndarray:
    """Pixels as a detector would see them, uint8 (S, S, 3), S at most ``SIDE``."""
    pixels = decode_inspected(data)
    return fit(pixels, min(SIDE, *pixels.shape[:2])).permute(1, 2, 0).numpy()
