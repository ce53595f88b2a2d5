# SPDX-License-Identifier: Apache-2.0
"""How long near hashes are looked for among many pictures, and how many of them are found."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import psutil
from scipy.stats import norm

from facetell.dataset.hashes import BITS, MIRROR
from facetell.dataset.neighbours import Near, near

FLIPPED = (20, 28, 36, 46, 56)  # bits between two hashes whose recall is measured
PLANTED = 1000  # pairs of each
FAMILIES = 1000  # pictures share half of their variance with those of their family
ESTIMATED = 10_000_000
MIB = 2**20


class Cost(NamedTuple):
    """Seconds, seconds of all cores together, peak of resident MiB of all processes, and by what
    is between two hashes the share of pairs that are found."""

    number: int
    seconds: float
    work: float
    memory: float
    recall: dict[str, float]


def like(photos: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Hashes whose bits go together as those of photos do, uint8 (number, 32).

    Signs of normal deviates with the photos' tetrachoric correlations. In families, so that hashes
    with 60 to 100 bits between them are about as frequent as among photos.
    """
    random = np.random.default_rng(seed)
    bits = np.unpackbits(np.concatenate([photos, photos ^ MIRROR]), axis=1).astype(float)
    bits[:2, 0] = 0, 1  # the mean's is always set, and has no correlation
    values, vectors = np.linalg.eigh(np.sin(np.pi / 2 * np.corrcoef(bits.T)))
    root = vectors * np.sqrt(np.maximum(values, 1e-6))
    root = (root / np.linalg.norm(root, axis=1, keepdims=True)).T.astype(np.float32)
    limits = norm.ppf(1 - bits.mean(axis=0)).astype(np.float32)
    families = random.standard_normal((FAMILIES, BITS), dtype=np.float32) @ root
    made = np.empty((number, BITS // 8), dtype=np.uint8)
    for start in range(0, number, 1 << 16):
        part = made[start : start + (1 << 16)]
        own = random.standard_normal((len(part), BITS), dtype=np.float32) @ root
        shared = families[random.integers(0, FAMILIES, len(part))]
        part[:] = np.packbits((own + shared) / math.sqrt(2) > limits, axis=1)
    return made


def frequencies(hashes: np.ndarray) -> dict[int, float]:
    """Pairs up to so many bits, mirrored or not, of a million pairs."""
    signs = np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1
    even, odd = (signs[:, part::2] @ signs[:, part::2].T for part in (0, 1))
    apart = (BITS - (even + np.abs(odd)))[np.triu_indices(len(hashes), 1)] / 2
    return {bits: 1e6 * float((apart <= bits).mean()) for bits in (56, 70, 80, 90, 100)}


def flipped(hashes: np.ndarray, bits: int, random: np.random.Generator) -> np.ndarray:
    """Each with so many bits changed, and every other one mirrored."""
    rows = np.unpackbits(hashes, axis=1)
    for row in rows:
        row[1 + random.choice(BITS - 1, bits, replace=False)] ^= 1
    packed = np.packbits(rows, axis=1)
    packed[::2] ^= MIRROR
    return packed


@contextmanager
def peak() -> Iterator[Callable[[], float]]:
    """What this process and its children hold together at most inside the block, in MiB."""
    here, done, most = psutil.Process(), threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.1):
            held = 0
            for process in [here, *here.children(recursive=True)]:
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            most[0] = max(most[0], held / MIB)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        thread.join()


def searched(photos: np.ndarray, changed: dict[str, np.ndarray], number: int, workers: int) -> Cost:
    """The search among so many hashes, into which those of photos and their copies are put.

    photos : uint8 (P, 32). changed : by what was done to them, uint8 (P, 32) each.
    """
    random = np.random.default_rng(1)
    made = like(photos, number, seed=0)
    first = {f"{bits} bits": made[at * PLANTED :][:PLANTED] for at, bits in enumerate(FLIPPED)}
    second = {f"{bits} bits": flipped(first[f"{bits} bits"], bits, random) for bits in FLIPPED}
    planted = np.concatenate([photos, *changed.values(), *second.values()])
    made[number - len(planted) :] = planted
    place = number - len(planted)
    wanted = {}  # by what is between them the indices of both
    for at, name in enumerate(changed, start=1):
        own = np.arange(place, place + len(photos))
        wanted[name] = (own, own + at * len(photos))
    place += len(photos) * (1 + len(changed))
    for at, name in enumerate(second):
        own = np.arange(PLANTED) + at * PLANTED
        wanted[name] = (own, place + own)
    with peak() as most:
        begun, before = time.perf_counter(), sum(os.times()[:4])
        parts = list(near(made, workers=workers))
        seconds, work = time.perf_counter() - begun, sum(os.times()[:4]) - before
    found = Near(*map(np.concatenate, zip(*parts, strict=True)))
    keys = found.first * number + found.second
    recall = {
        name: float(np.isin(one * number + other, keys).mean())
        for name, (one, other) in wanted.items()
    }
    return Cost(number, seconds, work, most(), recall)


def estimate(costs: Sequence[Cost], number: int) -> tuple[float, float]:
    """The exponent by which the work grows with the pictures, and the work for so many of them."""
    sizes, work = (np.log([cost[at] for cost in costs]) for at in (0, 2))
    exponent, start = np.polyfit(sizes, work, 1)
    return float(exponent), float(math.exp(start + exponent * math.log(number)))


def table(
    photos: np.ndarray, changed: dict[str, np.ndarray], numbers: Sequence[int], workers: int
) -> Iterator[str]:
    """Lines of the table in docs/data.md, each as soon as it is measured."""
    for name, hashes in (("photos", photos), ("made", like(photos, len(photos), seed=0))):
        listed = ", ".join(f"{bits}: {share:,.0f}" for bits, share in frequencies(hashes).items())
        yield f"Pairs of a million that are up to so many bits apart, {name}: {listed}"
    yield (
        f"\n| pictures | time, {workers} cores | core-seconds | memory | copies | "
        + " | ".join(f"{bits} bits" for bits in FLIPPED)
        + " |\n|---|---|---|---|---|"
        + "---|" * len(FLIPPED)
    )
    costs = []
    for number in numbers:
        cost = searched(photos, changed, number, workers)
        costs.append(cost)
        copies = min(cost.recall[name] for name in changed)
        shares = " | ".join(f"{cost.recall[f'{bits} bits']:.1%}" for bits in FLIPPED)
        yield (
            f"| {number:,} | {cost.seconds:.0f} s | {cost.work:.0f} | {cost.memory:,.0f} MiB | "
            f"{copies:.1%} | {shares} |"
        )
        yield "  " + ", ".join(f"{name} {cost.recall[name]:.1%}" for name in changed)
    if len(costs) > 1:
        exponent, work = estimate(costs, ESTIMATED)
        yield (
            f"\nThe work grows with the power {exponent:.2f} of the pictures: about "
            f"{work:,.0f} core-seconds for {ESTIMATED:,}"
        )
