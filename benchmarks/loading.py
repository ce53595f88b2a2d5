# SPDX-License-Identifier: Apache-2.0
"""Reading images: packed shards against one packed file and against a folder of files, with a warm
and a cold page cache.

Run: python -m benchmarks.loading [--images 4000] [--size 256] [--shard-kb 4096]
Random batches of encoded bytes, then the same with decoding. Cold: the kernel is asked to drop
the pages of these files before every round (posix_fadvise), which needs no rights.
Last, what our decoding costs, with its checks and turning upright, against Pillow's alone.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.images import make
from facetell.images.decoding import decode
from facetell.images.packed import Packed


def forget(files: list[Path]) -> None:
    """Drop the files' pages from the cache."""
    assert hasattr(os, "posix_fadvise"), "not on this system"
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def rate(read: Callable[[int], bytes], order: np.ndarray, decoding: bool) -> float:
    """Images/s over ``order``."""
    started = time.perf_counter()
    for index in order:
        data = read(int(index))
        if decoding:
            decode(data)
    return len(order) / (time.perf_counter() - started)


def plainly(data: bytes) -> np.ndarray:
    """Decode with Pillow and nothing else."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def decoding_rates(images: list[bytes], rounds: int) -> tuple[float, float]:
    """Images/s of our decoding and of Pillow's, in turns: the best round of each."""
    best = {decode: 0.0, plainly: 0.0}
    for _ in range(rounds):
        for function in best:
            started = time.perf_counter()
            for data in images:
                function(data)
            best[function] = max(best[function], len(images) / (time.perf_counter() - started))
    return best[decode], best[plainly]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shard-kb", type=int, default=4096, help="of the shards")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder)
        make(home, options.images, options.size, largest=options.shard_kb * 1024)
        make(home / "whole", options.images, options.size)
        files = sorted((home / "folder").rglob("*.jpg"))
        order = np.random.default_rng(0).permutation(options.images)
        # only Linux can be told to drop files from its cache
        for cold in (False, True) if hasattr(os, "posix_fadvise") else (False,):
            for decoding in (False, True):
                best = {"shards": 0.0, "one file": 0.0, "folder": 0.0}
                for _ in range(options.rounds):
                    # opened anew: a mapping would keep its pages
                    packed, whole = Packed(home / "train"), Packed(home / "whole/train")
                    readers = {
                        "shards": packed.image,
                        "one file": whole.image,
                        "folder": lambda i: files[i].read_bytes(),
                    }
                    for name, read in readers.items():
                        if cold:
                            forget([*home.glob("**/train/*"), *files])
                        best[name] = max(best[name], rate(read, order, decoding))
                    del packed, whole
                what = ("cold" if cold else "warm") + (", decoded" if decoding else ", bytes")
                rates = ", ".join(f"{name} {best[name]:9.0f}" for name in best)
                print(
                    f"{what:15} images/s: {rates}; shards to one file "
                    f"{best['shards'] / best['one file']:.2f}, to the folder "
                    f"{best['shards'] / best['folder']:.2f}"
                )
        packed = Packed(home / "train")
        images = [packed.image(int(index)) for index in order[:1000]]
        assert all(np.array_equal(decode(data), plainly(data)) for data in images[:10])
        ours, theirs = decoding_rates(images, options.rounds)
        print(
            f"decoding alone  facetell {ours:7.0f} images/s, Pillow {theirs:9.0f}, "
            f"ratio {ours / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
