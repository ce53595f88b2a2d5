# SPDX-License-Identifier: Apache-2.0
"""The imputation of ROAD, ours against grad-cam's, on the same masks; the fastest round counts.

Run: python -m benchmarks.faithfulness [--sizes 64 128 224] [--rounds 5]
Masks are half and nine tenths of the pixels, scattered (as a saliency map ranks them) and in pieces
(as a class activation map does). Both solve the same system: the largest difference is printed.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy.ndimage import gaussian_filter

from facetell.explain.trust.faithfulness import impute, ranking


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of ``rounds`` calls."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    theirs = NoisyLinearImputer(noise=0.0)
    random = np.random.default_rng(0)
    for size in options.sizes:
        image = random.random((3, size, size)).astype(np.float32)
        noise = random.random((size, size))
        for name, map_ in (("scattered", noise), ("pieces", gaussian_filter(noise, size / 12))):
            for share in (0.5, 0.9):
                removed = ranking(map_[None], ["image"])[0] < share * size**2
                pixels, kept = torch.from_numpy(image), torch.from_numpy((~removed).astype("f4"))
                other = theirs(pixels, kept).numpy()
                gap = np.abs(impute(image, removed) - other).max()
                ours = fastest(lambda image=image, removed=removed: impute(image, removed),
                               options.rounds)  # fmt: skip
                plain = fastest(lambda pixels=pixels, kept=kept: theirs(pixels, kept),
                                options.rounds)  # fmt: skip
                print(
                    f"{size} px, {share:.0%} {name}: {1e3 * ours:.1f} ms, grad-cam "
                    f"{1e3 * plain:.1f} ms, {plain / ours:.1f} times; difference {gap:.0e}"
                )


if __name__ == "__main__":
    main()
