# SPDX-License-Identifier: Apache-2.0
"""Archives of as many images as wanted, in the layout of Kaggle's 140k set: drawn, or some of a
real one's."""

import io
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count
from PIL import Image, ImageChops

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.labels import SPLITS
from facetell.common.parallel import in_processes
from facetell.dataset.hashes import perceptual_hash
from facetell.dataset.neighbours import ALIKE

CHUNK = 1024  # images that a process draws at once
COPIES = 10  # each so many-th image is a near copy of another
HEAD = ",original_path,id,label,label_str,path"


@lru_cache
def grain(size: int) -> list[Image.Image]:
    """Some fields of noise around grey, used again and again: drawing them is what takes long."""
    random = np.random.default_rng(0)
    fields = random.normal(128, 6, (32, size, size, 3)).clip(0, 255).astype(np.uint8)
    return [Image.fromarray(field) for field in fields]


def face(shape: int, number: int, size: int) -> bytes:
    """JPEG of the smooth random shapes of one seed, with the grain of another.

    No two seeds give shapes that are alike, and hardly two numbers the same file.
    """
    coarse = np.random.default_rng(shape).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    shapes = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    fields = grain(size)
    field, rest = number % len(fields), number // len(fields)
    noise = ImageChops.offset(fields[field], rest % size, rest // size % size)
    buffer = io.BytesIO()
    ImageChops.add(shapes, noise, 1.0, -128).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def _faces(jobs: list[tuple[int, int]], size: int) -> list[bytes]:
    return [face(shape, number, size) for shape, number in jobs]


def listed(count: int) -> Iterator[tuple[str, str, str]]:
    """Split, class and name of every image: numbers for real ones, ten capitals for fakes."""
    for index in range(count):
        share, kind = (index // 2 + 0.5) / (count / 2), ("real", "fake")[index % 2]
        split = "train" if share < 0.72 else "valid" if share < 0.86 else "test"
        letters = [chr(65 + (index // 26**power) % 26) for power in range(10)]
        yield split, kind, f"{index // 2:05d}" if kind == "real" else "".join(letters)


def shapes_of(images: list[tuple[str, str, str]]) -> Iterator[int]:
    """Which shapes each image shows: its own, or where it is a near copy, another's of its split.

    Near copies are what the search looks at pixel by pixel.
    """
    for index, (split, *_) in enumerate(images):
        copy = index % COPIES == COPIES - 1 and images[index - 2][0] == split
        yield index - 2 if copy else index


def drawn(path: Path, count: int, size: int) -> None:
    """A zip of ``count`` images of ``size`` px.

    Raises
    ------
    UserError : some of them are so much alike that the leak gate would stop the split.
    """
    if (apart := nearest(count, size)) <= ALIKE:
        raise UserError(f"different images of {size} px are only {apart} bits apart: choose more")
    images = list(listed(count))
    with whole(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for split in SPLITS:
            lines = [HEAD]
            for at, (_, kind, name) in enumerate(one for one in images if one[0] == split):
                where = f"{split}/{kind}/{name}.jpg"
                lines.append(f"{at},,{name},{int(kind == 'real')},{kind},{where}")
            file.writestr(f"{split}.csv", "\n".join(lines) + "\n")
        jobs = [(shape, number) for number, shape in enumerate(shapes_of(images))]
        chunks = (jobs[at : at + CHUNK] for at in range(0, count, CHUNK))
        made = chain.from_iterable(in_processes(_faces, chunks, size, workers=cpu_count()))
        for (split, kind, name), data in zip(images, made, strict=True):
            file.writestr(f"real_vs_fake/real-vs-fake/{split}/{kind}/{name}.jpg", data)


def nearest(count: int, size: int, sample: int = 400) -> int:
    """Smallest distance in bits between the hashes of some of ``count`` different shapes."""
    chosen = np.random.default_rng(1).choice(count, size=min(sample, count), replace=False)
    pictures = (Image.open(io.BytesIO(face(int(one), int(one), size))) for one in chosen)
    hashes = b"".join(perceptual_hash(picture) for picture in pictures)
    bits = np.unpackbits(np.frombuffer(hashes, np.uint8).reshape(len(chosen), -1), axis=1)
    bits = bits.astype(np.int32)
    distance = bits @ (1 - bits).T + (1 - bits) @ bits.T
    return int(distance[~np.eye(len(bits), dtype=bool)].min())


def thinned(path: Path, count: int, source: Path) -> None:
    """A zip of ``count`` images of the 140k set in ``source``, evenly from all of its folders.

    Raises
    ------
    UserError : it has fewer.
    """
    with whole(path) as temporary, zipfile.ZipFile(source) as old:
        names = sorted(name for name in old.namelist() if name.endswith(".jpg"))
        if count > len(names):
            raise UserError(f"{source} has {len(names):,} images, not {count:,}")
        kept = [names[at * len(names) // count] for at in range(count)]
        short = {"/".join(name.split("/")[-3:]) for name in kept}
        with zipfile.ZipFile(temporary, "w") as new:
            for split in SPLITS:
                text = old.read(f"{split}.csv")
                table = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
                table = table[table["path"].isin(short)]
                new.writestr(f"{split}.csv", table.to_csv(index=False, lineterminator="\n"))
            for name in kept:
                new.writestr(name, old.read(name))
