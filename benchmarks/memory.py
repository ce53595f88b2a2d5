# SPDX-License-Identifier: Apache-2.0
"""Peak memory of one training epoch and one scoring pass, against the number of packed images.

Run: python -m benchmarks.memory [--size 64] [--counts 2000 20000]
Each count runs in a process of its own; the ratio of the peaks is what matters.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.images import make
from facetell.common import machine
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.models.inference import margins
from facetell.training.cost import peak_memory
from facetell.training.job import Engine, Job
from facetell.training.recipe import Recipe
from facetell.training.trainer import silent, train


def use(folder: Path, size: int) -> float:
    """Train SimpleNet for an epoch and score everything; peak resident memory in MiB."""
    torch.set_num_threads(1)
    everything, valid = Packed(folder / "train"), Packed(folder / "valid")
    recipe = Recipe(image_size=size, epochs=1, batch_size=32, lr=1e-3, precision="float32")
    device = machine.device()
    job = Job(network="simplenet", recipe=recipe, train_set=everything, valid_set=valid, seed=0)
    fit = train(job, state=folder / "state", engine=Engine(device=device), say=silent)
    margins(fit.detector, Images(everything, size), device)
    return peak_memory()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--counts", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--use", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.use:
        print(use(options.use, options.size))
        return
    peaks = {}
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), count, options.size, distinct=500)
            command = [sys.executable, "-m", "benchmarks.memory", "--use", folder]
            done = subprocess.run(
                [*command, "--size", str(options.size)], capture_output=True, text=True, check=True
            )
            packed = sum(file.stat().st_size for file in (Path(folder) / "train").iterdir())
        peaks[count] = float(done.stdout)
        print(f"{count:>7,} images, {packed / 2**20:.0f} MiB packed: peak {peaks[count]:.0f} MiB")
    first, last = options.counts[0], options.counts[-1]
    print(f"ratio {last:,} to {first:,}: {peaks[last] / peaks[first]:.3f}")


if __name__ == "__main__":
    main()
