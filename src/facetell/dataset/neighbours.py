# SPDX-License-Identifier: Apache-2.0
"""Pictures with near hashes: every pair of a small set, and through an index those of a large one.

Two hashes are near if they differ in at most ``ALIKE`` of 256 bits, as they are or mirrored.
Pictures without fine structure have unstable high coefficients, so those are near as well whose
lowest 8 x 8 coefficients differ in at most ``LOW`` signs.

The index is ``IndexBinaryHash`` of faiss (Norouzi, Punjani and Fleet 2012: multi-index hashing). A
table holds the hashes by a few of their bits, its key; a hash is compared with those whose key
differs in one bit at most. Three tables have all of the lowest bits for keys, so that two hashes
that differ in up to five of them always meet. The others share all bits out, and find most of what
differs in more of them: ``benchmarks/copies.py`` measures how much, and how long it takes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from facetell.common.progress import progress
from facetell.dataset.hashes import BITS, MIRROR, SIDE

ALIKE = 56  # bits up to which two hashes are near
LOW = 4  # of the 64 lowest bits: the same for pictures without fine structure
EXACT = 10_000  # pictures up to which every pair is compared
NEIGHBOURS = 20  # pictures at most, of those before it, with which one is paired
SAMPLE = 10  # pictures with the same lowest bits that are looked up; the others follow in a chain
BLOCK = 2048  # hashes that are multiplied at once
BATCH = 1 << 16  # hashes that are looked up at once
COMPARED = 1 << 20  # pairs of which the distances are computed at once
SEED = 0  # of the order in which bits become keys

_LOWEST = np.arange(BITS).reshape(SIDE, SIDE)[: SIDE // 2, : SIDE // 2].ravel()
_LOWEST_KEY = 21  # bits: a third of the lowest without the mean's, which tells nothing
_LOWEST_MASK = np.packbits(np.isin(np.arange(BITS), _LOWEST)).view(np.uint64)


class Near(NamedTuple):
    """Pairs of near hashes by their indices, first < second, and the bits between them; (M,) each,
    in order of the indices."""

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray


def near(hashes: np.ndarray, *, workers: int = 1) -> Iterator[Near]:
    """Pairs of hashes that are near each other, mirrored or not, part by part.

    Up to ``EXACT`` hashes they are all pairs. Of more, a pair may be missed that differs in many
    bits, and each hash is paired with at most ``NEIGHBOURS`` of those before it: pictures of a
    larger cluster are tied to each other by chains.

    Parameters
    ----------
    hashes : uint8 (N, 32), of ``facetell.dataset.hashes.perceptual_hash``, none of them zero.
    workers : threads of the search; the result does not depend on their number.

    >>> hashes = np.full((2, 32), 7, dtype=np.uint8)
    >>> hashes[1, 0] = 6
    >>> [(int(part.first[0]), int(part.second[0]), int(part.distance[0])) for part in near(hashes)]
    [(0, 1, 1)]
    """
    if len(hashes) <= EXACT:
        yield from _every(hashes)
    else:
        yield _indexed(hashes, workers)


def _every(hashes: np.ndarray) -> Iterator[Near]:
    """All near pairs, by matrix products; those of ``BLOCK`` hashes with all that follow."""
    for start in range(0, len(hashes), BLOCK):
        mine = _signs(hashes[start : start + BLOCK])
        found = []
        for at in range(start, len(hashes), BLOCK):
            others = _signs(hashes[at : at + BLOCK])
            distance = _products(mine, others, SIDE)
            low = _products(mine, others, SIDE // 2)
            one, other = np.nonzero((distance <= ALIKE) | (low <= LOW))
            found.append((start + one, at + other, distance[one, other].astype(np.int64)))
        first, second, bits = map(np.concatenate, zip(*found, strict=True))
        order = np.lexsort((second, first))
        order = order[first[order] < second[order]]
        yield Near(first[order], second[order], bits[order])


def _signs(hashes: np.ndarray) -> np.ndarray:
    """Bits as -1 and 1, float32 (N, 16, 16)."""
    signs = 2.0 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
    return signs.reshape(-1, SIDE, SIDE)


def _products(mine: np.ndarray, others: np.ndarray, side: int) -> np.ndarray:
    """Bits by which the lowest ``side`` x ``side`` coefficients differ, as they are or mirrored."""
    even, odd = (
        mine[:, :side, part:side:2].reshape(len(mine), -1)
        @ others[:, :side, part:side:2].reshape(len(others), -1).T
        for part in (0, 1)
    )
    return (side * side - (even + np.abs(odd))) / 2


def _indexed(hashes: np.ndarray, workers: int) -> Near:
    """Near pairs that one of the tables finds."""
    number = len(hashes)
    sample, chains = _chains(hashes)
    pairs = chains[:0]
    # faiss and torch each bring an OpenMP of their own, and on macOS one process cannot have both
    with ProcessPoolExecutor(max_workers=1) as process:
        for table in progress(_tables(number), "copies"):
            looked = process.submit(look_up, hashes[sample], table, workers)
            one, other = sample[looked.result()]
            pairs = _nearest(hashes, np.append(pairs, _key(one, other, number)))
    pairs = _nearest(hashes, np.append(pairs, chains))
    first, second = np.divmod(pairs, number)
    return Near(first, second, _distances(hashes, first, second)[0])


def _key(one: np.ndarray, other: np.ndarray, number: int) -> np.ndarray:
    """One number for each pair, in order of its first and second index."""
    return np.minimum(one, other) * number + np.maximum(one, other)


def _chains(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hashes to be looked up, and pairs of those with the same lowest bits.

    However many have the same, ``SAMPLE`` of them stand for all, and each is paired with those
    right before it: many copies of one picture take no more time than many pictures.
    """
    words = hashes.view(np.uint64)
    mirrored = (hashes ^ MIRROR).view(np.uint64)
    lowest = np.minimum(*(_words_of_lowest(each) for each in (words, mirrored)))
    order = np.argsort(lowest, kind="stable")
    lowest = lowest[order]
    again = np.zeros(len(order), dtype=bool)
    pairs = [np.zeros(0, dtype=np.int64)]
    for step in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(lowest[step:] == lowest[:-step])
        pairs.append(_key(order[same], order[same + step], len(order)))
        if step == SAMPLE:
            again[same + step] = True
    return np.sort(order[~again]), np.concatenate(pairs)


def _words_of_lowest(words: np.ndarray) -> np.ndarray:
    """The lowest 8 x 8 bits, the first byte of every second in the first 16; uint64 (N,)."""
    rows = words.view(np.uint8).reshape(len(words), SIDE, SIDE // 8)
    return np.ascontiguousarray(rows[:, : SIDE // 2, 0]).view(np.uint64)[:, 0]


class Table(NamedTuple):
    """The bits that a table compares, in its order; the first ``key`` of them say where a hash is
    kept; what differs in more than ``radius`` is not near."""

    bits: np.ndarray
    key: int
    radius: int


def _tables(number: int) -> list[Table]:
    """Tables for so many hashes: the longer a key, the fewer hashes share one."""
    random = np.random.default_rng(SEED)
    shuffled, lowest = random.permutation(np.arange(1, BITS)), random.permutation(_LOWEST[1:])
    key = int(np.log2(number)) + 2
    tables = []
    for bits, length, radius in ((lowest, _LOWEST_KEY, LOW), (shuffled, key, ALIKE)):
        for start in range(0, len(bits) - length + 1, length):
            tables.append(Table(np.append(np.roll(bits, -start), 0), length, radius))
    return tables


def look_up(hashes: np.ndarray, table: Table, threads: int) -> np.ndarray:
    """Indices of near hashes by one table, int64 (2, M): one in each row, each pair perhaps twice.

    Runs in a process of its own, which has faiss and not torch.
    """
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryHash(len(table.bits), table.key)
    index.nflip = 1
    found = [np.zeros((2, 0), dtype=np.int64)]
    for start in range(0, len(hashes), BATCH):
        batch = hashes[start : start + BATCH]
        index.add(_taken(batch, table.bits))
        for side in (batch, batch ^ MIRROR):
            distance, other = index.search(_taken(side, table.bits), NEIGHBOURS + 1)
            one = np.arange(start, start + len(batch))[:, None]
            row, rank = np.nonzero((distance <= table.radius) & (other != one) & (other >= 0))
            found.append(np.stack([start + row, other[row, rank]]))
    return np.concatenate(found, axis=1)


def _taken(hashes: np.ndarray, bits: np.ndarray) -> np.ndarray:
    return np.packbits(np.unpackbits(hashes, axis=1)[:, bits], axis=1)


def _nearest(hashes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Of each hash the near ones before it, ``NEIGHBOURS`` at most; keys of pairs, sorted."""
    pairs = np.unique(pairs)
    first, second = np.divmod(pairs, len(hashes))
    distance, lowest = _distances(hashes, first, second)
    order = np.lexsort((first, distance, second))
    order = order[(distance[order] <= ALIKE) | (lowest[order] <= LOW)]
    # of a hash so many places before, the pair is that of another picture, or one too many
    extra = second[order[NEIGHBOURS:]] == second[order[:-NEIGHBOURS]]
    return np.sort(np.delete(pairs[order], NEIGHBOURS + np.flatnonzero(extra)))


def _distances(
    hashes: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bits between hashes, all and the lowest, as they are or mirrored; int64 (M,) each."""
    words, mirror = hashes.view(np.uint64), MIRROR.view(np.uint64)
    every, lowest = (np.zeros(len(first), dtype=np.int64) for _ in range(2))
    for start in range(0, len(first), COMPARED):
        part = slice(start, start + COMPARED)
        apart = words[first[part]] ^ words[second[part]]
        for bits, mask in ((every, ~np.uint64(0)), (lowest, _LOWEST_MASK)):
            both = [np.bitwise_count(side & mask).sum(axis=1) for side in (apart, apart ^ mirror)]
            bits[part] = np.minimum(*both)
    return every, lowest
