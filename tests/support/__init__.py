# SPDX-License-Identifier: Apache-2.0
"""Small images, archives and packed sets that the tests make for themselves."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facetell.common.labels import SPLITS
from facetell.dataset.account import account
from facetell.dataset.build import Dataset, build
from facetell.dataset.layouts import Listing, rows
from facetell.dataset.splits import Splitting
from facetell.images.opening import open_archive

ROOT = Path(__file__).resolve().parent.parent.parent


def picture(
    seed: int = 0, size: tuple[int, int] = (64, 64), kind: str = "JPEG", **options
) -> bytes:
    """A smooth random picture, encoded."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    return encoded(image, kind, **options)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def separable(seed: int, label: int, size: int = 64) -> bytes:
    """Noise around grey; fakes carry a bright square that any network finds."""
    pixels = np.random.default_rng(seed).normal(110, 25, (size, size, 3))
    if label:
        pixels[16:40, 16:40] += 90
    return encoded(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), "JPEG", quality=90)


def write_zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def folder_entries(count: dict[str, int], make: Callable[[int, int], bytes]) -> dict[str, bytes]:
    """``<split>/{real,fake}/NNN.jpg`` with ``count[split]`` images per class."""
    return {
        f"{split}/{name}/{split}{index:03d}{name[0]}.jpg": make(
            1000 * SPLITS.index(split) + 2 * index + label, label
        )
        for split, number in count.items()
        for label, name in enumerate(("real", "fake"))
        for index in range(number)
    }


def built(home: Path, entries: dict[str, bytes], layout: str = "folder", **options) -> Dataset:
    """The work of the split stage on a zip of ``entries``, which lies in ``home/raw/<layout>``."""
    raw = home / "raw"
    (raw / layout).mkdir(parents=True, exist_ok=True)
    path = write_zip(raw / layout / "set.zip", entries)
    with open_archive(path) as archive:
        tables = {layout: rows(layout, archive)}
    names = [field.name for field in fields(Splitting)]
    splitting = {name: options.pop(name) for name in names if name in options}
    splitting = Splitting(**({"valid": 0, "test": 0, "seed": 0} | splitting))
    return build(tables, {layout: raw / layout}, splitting, **options)


def accounted(layout: str, home: Path, listed: Listing, share: float = 0) -> dict[str, Any]:
    """The account of a set that lies in ``home/raw/<layout>``, whose numbers must add up."""
    found = build(
        {layout: listed.table},
        {layout: home / "raw" / layout},
        Splitting(valid=share, test=share, seed=0),
        grouped={layout: listed.grouped},
    )
    said = account({layout: listed}, found)
    files = said["files"]
    assert files["seen"] == files["images"] + files["set_aside"] + sum(files["ignored"].values())
    return said
