# SPDX-License-Identifier: Apache-2.0
"""Copies of one picture under different names: found by perceptual hash, confirmed by pixels.

Measured on 1,000 original files of the 140k set (``benchmarks/copies.py``): the same picture
recompressed (JPEG 10), shrunk to a quarter, blurred (sigma 2), 30% brighter, turned by a degree or
mirrored is found always; cut by 3 of 256 px on each side in 99% of cases, by 5 px in 40%. But for
twins of a generator, two different files are at least 38 bits apart.
"""

from collections.abc import Callable, Iterator

import numpy as np

from facetell.dataset.neighbours import near
from facetell.dataset.pair import Pair

SIMILAR = 0.94  # correlation from which on two pictures show the same thing
BATCH = 1024  # pairs whose pixels are compared at once: up to 16 MB of thumbnails


def pairs(
    hashes: np.ndarray,
    look: Callable[[np.ndarray], np.ndarray],
    group: np.ndarray | None = None,
    *,
    workers: int = 1,
) -> Iterator[Pair]:
    """Pictures that show the same thing, mirrored or not, in order of their indices.

    Of a large set, a picture is paired with a limited number of those before it
    (``neighbours.near``): a cluster of many copies is tied together, but not every pair in it is
    listed.

    Parameters
    ----------
    hashes : uint8 (N, 32), of ``hashes.perceptual_hash``; a row of zeros is never paired.
    look : gives the ``thumbnails`` of pictures, float32 (n, 2, 1024), by their indices, (n,).
    group : int (N,); pictures of one group are known to show the same and are not compared.
    workers : threads of the search; the result does not depend on their number.
    """
    known = np.flatnonzero(hashes.any(axis=1))
    for part in near(hashes[known], workers=workers):
        first, second, distance = known[part.first], known[part.second], part.distance
        if group is not None:
            other = group[first] != group[second]
            first, second, distance = first[other], second[other], distance[other]
        for start in range(0, len(first), BATCH):
            at = slice(start, start + BATCH)
            correlation = _correlations(first[at], second[at], look)
            for place in np.flatnonzero(correlation >= SIMILAR):
                yield Pair(
                    int(first[at][place]),
                    int(second[at][place]),
                    int(distance[at][place]),
                    float(correlation[place]),
                )


def _correlations(
    first: np.ndarray, second: np.ndarray, look: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Of the pixels of each pair, the higher one of both ways round; (M,)."""
    wanted, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    seen = look(wanted)
    one, other = np.split(seen[places], 2)
    return np.einsum("np,nsp->ns", one[:, 0], other).max(axis=1)
