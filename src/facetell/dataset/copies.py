# SPDX-License-Identifier: Apache-2.0
"""Copies of one picture under different names: found by perceptual hash, confirmed by pixels.

The hash is the 256-bit pHash of the imagehash library (signs of the lowest 16 x 16 DCT
coefficients against their median; Zauner 2010). Measured on 1,000 original files of the 140k set
(``benchmarks/copies.py``): the same picture recompressed (JPEG 10), shrunk to a quarter, blurred
(sigma 2), 30% brighter, turned by a degree or mirrored is found always; cut by 3 of 256 px on each
side in 99% of cases, by 5 px in 40%. But for twins of a generator, two different files are at least
38 bits apart. Pictures without fine structure have unstable high coefficients: those whose lowest
8 x 8 agree are compared by their pixels too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import imagehash
import numpy as np
from PIL import Image

SIDE = 16  # DCT coefficients per axis: 256 bits
BITS = SIDE * SIDE
NEAR = 36  # bits up to which two pictures count as copies
ALIKE = 56  # bits up to which two pictures are compared by their pixels
LOW = 4  # of the 64 lowest bits: the same for pictures without fine structure
SIMILAR = 0.94  # correlation from which on they show the same thing
SAME = 0.99  # correlation from which on they are one picture
FLATTEST = 2.0  # levels of 255: below this contrast a picture has no structure to hash
BLOCK = 2048
THUMBNAIL = 32  # px, of the comparison by pixels


@dataclass(frozen=True)
class Pair:
    """Two pictures, first < second by their index; distance in bits, correlation in [-1, 1]."""

    first: int
    second: int
    distance: int
    correlation: float

    @property
    def copy(self) -> bool:
        """Whether both are one picture, not only alike (two outputs from nearly one latent)."""
        return self.distance <= NEAR or self.correlation >= SAME


def perceptual_hash(image: Image.Image) -> bytes:
    """32 bytes; all zero where the picture is too flat for its structure to mean anything.

    >>> perceptual_hash(Image.new("L", (64, 64))) == bytes(32)
    True
    """
    grey = image.convert("L").resize((64, 64), Image.Resampling.BOX)
    if np.asarray(grey).std() < FLATTEST:
        return bytes(BITS // 8)
    return np.packbits(imagehash.phash(image, hash_size=SIDE).hash).tobytes()


def thumbnail(image: Image.Image) -> np.ndarray:
    """What two pictures are compared by: float32 (2, 32 * 32), luma as it is and mirrored."""
    return normalised(luma(image))


def luma(image: Image.Image) -> np.ndarray:
    """What of a picture is enough for that, uint8 (32, 32)."""
    return np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def normalised(small: np.ndarray) -> np.ndarray:
    """The ``thumbnail`` of a picture from its ``luma``."""
    pixels = small.astype(np.float32)
    pixels = pixels - pixels.mean()  # a change of brightness or contrast is no other picture
    both = np.stack([pixels, pixels[:, ::-1]]).reshape(2, -1)
    return both / max(float(np.linalg.norm(both[0])), 1e-6)


def pairs(
    hashes: np.ndarray, look: Callable[[int], np.ndarray], group: np.ndarray | None = None
) -> Iterator[Pair]:
    """Pictures that show the same thing, mirrored or not, in order of their indices.

    Every pair is compared: exact, and quadratic, but one matrix product (100,000 pictures take
    about a minute on two cores).

    Parameters
    ----------
    hashes : uint8 (N, 32), of ``perceptual_hash``; a row of zeros is never paired.
    look : gives the ``thumbnail`` of the picture at an index.
    group : int (N,); pictures of one group are known to show the same and are not compared.
    """
    known = np.flatnonzero(hashes.any(axis=1))
    look = lru_cache(maxsize=256)(look)  # 8 KB each
    for first, second, distance in _candidates(hashes[known]):
        one, other = int(known[first]), int(known[second])
        if group is not None and group[one] == group[other]:
            continue
        correlation = float((look(one)[0] @ look(other).T).max())
        if correlation >= SIMILAR:
            yield Pair(one, other, int(distance), correlation)


def _candidates(hashes: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Indices and distance of all pairs within ``ALIKE`` bits, mirrored or not."""
    for start in range(0, len(hashes), BLOCK):
        mine = _signs(hashes[start : start + BLOCK])
        for at in range(start, len(hashes), BLOCK):
            others = _signs(hashes[at : at + BLOCK])
            distance = _distance(mine, others, SIDE)
            low = _distance(mine, others, SIDE // 2)
            near = (distance <= ALIKE) | (low <= LOW)
            for first, second in zip(*np.nonzero(near), strict=True):
                if start + first < at + second:
                    yield start + int(first), at + int(second), int(distance[first, second])


def _signs(hashes: np.ndarray) -> np.ndarray:
    """Bits as -1 and 1, float32 (N, 16, 16)."""
    signs = 2.0 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
    return signs.reshape(-1, SIDE, SIDE)


def _distance(mine: np.ndarray, others: np.ndarray, side: int) -> np.ndarray:
    """Bits by which the lowest ``side`` x ``side`` coefficients differ, as they are or mirrored."""
    # a mirror image has the same even coefficients across, and the odd ones negated
    even, odd = (
        mine[:, :side, part:side:2].reshape(len(mine), -1)
        @ others[:, :side, part:side:2].reshape(len(others), -1).T
        for part in (0, 1)
    )
    return (side * side - (even + np.abs(odd))) / 2
