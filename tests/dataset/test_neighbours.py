# SPDX-License-Identifier: Apache-2.0
"""What comparing every pair finds, the index finds among many pictures, whatever they are."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from support import ROOT

from facetell.dataset import neighbours
from facetell.dataset.hashes import BITS, MIRROR, SIDE
from facetell.dataset.neighbours import ALIKE, LOW, NEIGHBOURS, Near, near

OTHERS = 20_000  # pictures that are like none
ALL = np.arange(BITS)
LOWEST = ALL.reshape(SIDE, SIDE)[: SIDE // 2, : SIDE // 2].ravel()


def others(number: int = OTHERS, seed: int = 0) -> np.ndarray:
    """Hashes of different pictures; the mean's bit is always set, as in those of photos."""
    hashes = np.random.default_rng(seed).integers(0, 256, (number, 32), dtype=np.uint8)
    hashes[:, 0] |= 128
    return hashes


def changed(hashes: np.ndarray, bits: int, seed: int, among: np.ndarray = ALL) -> np.ndarray:
    """Each hash with so many of these bits flipped, never the first; every other one mirrored."""
    random = np.random.default_rng(seed)
    flipped = np.unpackbits(hashes, axis=1)
    for row in flipped:
        row[random.choice(among[1:], bits, replace=False)] ^= 1
    packed = np.packbits(flipped, axis=1)
    packed[::2] ^= MIRROR
    return packed


def joined(parts) -> Near:
    return Near(*map(np.concatenate, zip(*parts, strict=True)))


def places(found: Near) -> set[tuple[int, int]]:
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def distances(found: Near) -> dict[tuple[int, int], int]:
    return {(one, other): bits for one, other, bits in zip(*map(list, found), strict=True)}


def sources(found: Near, number: int) -> int:
    """Number of groups into which pairs tie so many pictures."""
    edges = (np.ones(len(found.first)), (found.first, found.second))
    return connected_components(coo_array(edges, (number, number)), directed=False)[0]


# of 500: by the binomial distribution, a share lower by 0.03 than what is expected is unlikely
@pytest.mark.parametrize(
    ("bits", "share"), [(0, 1), (8, 1), (16, 1), (24, 0.99), (36, 0.95), (46, 0.75), (56, 0.45)]
)
def test_most_pairs_are_found_by_the_bits_between_them(bits, share):
    here = others()
    found = joined(near(np.concatenate([here, changed(here[:500], bits, seed=bits)])))
    wanted = {(place, place + OTHERS) for place in range(500)}
    assert len(wanted & places(found)) >= share * 500
    assert places(found) <= wanted  # nothing else is near
    assert (found.distance == bits).all()


@pytest.mark.parametrize("bits", range(LOW + 1))
def test_all_pairs_whose_lowest_bits_agree_are_found(bits):
    here = others()
    rest = np.append(0, np.setdiff1d(ALL, LOWEST))
    other = changed(changed(here[:300], 96, 1, rest), bits, 2, LOWEST)
    found = joined(near(np.concatenate([here, other])))
    assert places(found) == {(place, place + OTHERS) for place in range(300)}
    assert (found.distance > ALIKE).all()


def test_the_index_and_all_pairs_agree_on_what_both_see(monkeypatch):
    """Families of up to a dozen pictures, 0 to 30 bits from each other's first."""
    first = others(300)
    hashes = np.concatenate([first, *(changed(first, bits, bits) for bits in range(0, 31, 3))])
    exact = joined(near(hashes))
    monkeypatch.setattr(neighbours, "EXACT", 0)
    found = joined(near(hashes))
    bits = distances(exact)
    assert distances(found).items() <= bits.items()
    close = {pair for pair, distance in bits.items() if distance <= 24}
    assert len(close & places(found)) >= 0.995 * len(close)
    assert sources(found, len(hashes)) == 300


def test_pairs_are_the_same_whatever_the_workers_and_in_order(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 0)
    monkeypatch.setattr(neighbours, "BATCH", 300)  # threads are used from 100 on
    here = others(1000)
    hashes = np.concatenate([here, changed(here, 40, 1), changed(here, 10, 2)])
    one, two, again = (joined(near(hashes, workers=workers)) for workers in (1, 2, 2))
    for column in range(3):
        np.testing.assert_array_equal(one[column], two[column])
        np.testing.assert_array_equal(two[column], again[column])
    assert (one.first < one.second).all()
    assert sorted(zip(one.first, one.second, strict=True)) == list(
        zip(one.first, one.second, strict=True)
    )


def test_many_copies_of_one_picture_are_tied_together():
    number = 50_000
    hashes = np.tile(others(1), (number, 1))
    hashes[::2] ^= MIRROR
    found = joined(near(hashes))
    assert sources(found, number) == 1
    assert np.bincount(found.second).max() <= NEIGHBOURS
    assert (found.distance == 0).all()


def test_frames_of_a_video_are_tied_together_and_not_to_others():
    """Thousands of pictures that differ in a few bits each, in two clusters, among others."""
    here = others(15_000)
    clusters = [changed(np.tile(here[place], (4_000, 1)), 6, place) for place in (0, 1)]
    found = joined(near(np.concatenate([here, *clusters])))
    assert np.bincount(found.second).max() <= NEIGHBOURS
    assert sources(found, 23_000) == 15_000


def test_what_the_search_holds_is_bounded_by_the_pictures():
    """No hash has more pairs than are allowed, however the tables overlap."""
    hashes = changed(np.tile(others(1), (10_500, 1)), 14, 3)
    found = joined(near(hashes))
    assert len(found.first) <= NEIGHBOURS * len(hashes)
    assert sources(found, len(hashes)) == 1


SAY = """
import sys
import numpy as np
from facetell.dataset.neighbours import _tables, look_up, near

list(near(np.random.default_rng(0).integers(0, 256, (10_001, 32), dtype=np.uint8)))
before = "faiss" in sys.modules
look_up(np.ones((10, 32), dtype=np.uint8), _tables(10)[0], 1)
print(before, "faiss" in sys.modules, "torch" in sys.modules)
"""


def test_the_index_has_a_process_of_its_own_without_torch():
    """Each brings an OpenMP, and on macOS two of them cannot be in one process."""
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.split() == ["False", "True", "False"]
