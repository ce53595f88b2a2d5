# SPDX-License-Identifier: Apache-2.0
"""How surely copies of a photo are found, by what was done to them: the table in docs/data.md.

Run: python -m benchmarks.copies ARCHIVE [--images 1000] [--search 30000 100000 300000 1000000]
ARCHIVE is that of Kaggle's 140k set, or a part of it. Each image is compared with its own changed
copy, as ``facetell.dataset.copies`` compares any two; the last line has the closest of the
different files. With --search, the images and their copies are looked for among so many hashes.
"""

import argparse
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from joblib import cpu_count
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from benchmarks.search import table
from facetell.common.progress import progress
from facetell.dataset.copies import pairs
from facetell.dataset.hashes import BITS, perceptual_hash
from facetell.dataset.pair import Pair
from facetell.dataset.thumbnails import luma, thumbnails

Change = Callable[[Image.Image], Image.Image]


def saved(quality: int) -> Change:
    def made(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return made


CHANGES: dict[str, Change] = {
    "JPEG quality 10": saved(10),
    "scaled to a quarter": lambda image: image.resize((image.width // 4, image.height // 4)),
    "blur, sigma 2": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "30% brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "turned by a degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
    "cut by 3 px on each side": lambda image: ImageOps.crop(image, 3),
    "cut by 5 px on each side": lambda image: ImageOps.crop(image, 5),
}


def photos(archive: Path, number: int) -> list[Image.Image]:
    """Evenly spread over the archive."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        chosen = names[:: max(1, len(names) // number)][:number]
        return [Image.open(io.BytesIO(file.read(name))).convert("RGB") for name in chosen]


def between(images: list[Image.Image], hashes: np.ndarray) -> list[Pair]:
    def look(indices: np.ndarray) -> np.ndarray:
        return thumbnails(np.stack([luma(images[index]) for index in indices]))

    return list(pairs(hashes, look))


def hashes_of(images: Iterable[Image.Image]) -> np.ndarray:
    return np.stack([np.frombuffer(perceptual_hash(image), np.uint8) for image in images])


def row(change: str, images: list[Image.Image], hashes: np.ndarray) -> str:
    """How many of the copies are found, and how far they are from their originals."""
    bits, found = [], 0
    for image, own in zip(images, progress(hashes, change), strict=True):
        both = [image, CHANGES[change](image)]
        two = np.stack([own, hashes_of(both[1:])[0]])
        bits.append(int(np.unpackbits(two[0] ^ two[1]).sum()))
        found += any(pair.copy for pair in between(both, two))
    farthest = "–" if change == "mirrored" else f"{max(bits)}"
    return f"| {change} | {found / len(images):.1%} | {farthest} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--search", type=int, nargs="+", metavar="NUMBER")
    options = parser.parse_args()
    images = photos(options.archive, options.images)
    hashes = hashes_of(images)
    print(f"{len(images):,} images\n\n| change | found as a copy | bits of {BITS}, at most |")
    print("|---|---|---|")
    for change in CHANGES:
        print(row(change, images, hashes), flush=True)
    bits = np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1
    apart = (BITS - bits @ bits.T) / 2
    np.fill_diagonal(apart, BITS)
    alike = between(images, hashes)
    print(
        f"\nTwo different files: {int(apart.min())} bits apart or more; {len(alike)} pairs alike:"
    )
    for pair in alike:
        print(f"{pair.distance} bits, correlation {pair.correlation:.3f}, copy: {pair.copy}")
    if options.search:
        changed = {name: hashes_of(map(change, images)) for name, change in CHANGES.items()}
        for line in table(hashes, changed, options.search, cpu_count()):
            print(line, flush=True)


if __name__ == "__main__":
    main()
