"""Peak memory of one training epoch and one scoring pass, against the number of packed images.

Run: python -m benchmarks.memory [--size 64] [--counts 2000 20000]
Each count runs in a process of its own; the ratio of the peaks is what matters.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

import pipeline  # noqa: F401  (puts this checkout's library first)
from facetell.archive import open_archive
from facetell.loading import Images
from facetell.packed import Packed
from facetell.packing import pack
from facetell.recipe import Recipe
from facetell.scoring import margins
from facetell.training import train


def make(folder: Path, count: int, size: int) -> None:
    """Pack ``count`` JPEG images of noise; the first tenth of them also as validation set."""
    import io
    import zipfile

    random = np.random.default_rng(0)
    names = [f"{index}.jpg" for index in range(count)]
    with zipfile.ZipFile(folder / "raw.zip", "w") as archive:
        for name in names:
            pixels = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG")
            archive.writestr(name, buffer.getvalue())
    rows = pd.DataFrame({"id": names, "path": names, "label": np.arange(count) % 2})
    rows = rows.assign(mask="", twin="", sha256=names)
    with open_archive(folder / "raw.zip") as archive:
        pack(rows, archive, folder / "train.arrow")
        pack(rows.iloc[: count // 10], archive, folder / "valid.arrow")


def use(folder: Path, size: int) -> int:
    """Train SimpleNet for an epoch and score everything; peak resident memory in KiB."""
    torch.set_num_threads(1)
    everything, valid = Packed(folder / "train.arrow"), Packed(folder / "valid.arrow")
    recipe = Recipe(image_size=size, epochs=1, batch_size=32, lr=1e-3, precision="float32")
    cpu = torch.device("cpu")
    fit = train(
        "simplenet", recipe, everything, valid, seed=0, device=cpu, state=folder / "state",
        say=lambda line: None,
    )  # fmt: skip
    margins(fit.detector, Images(everything, size), cpu)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
            make(Path(folder), count, options.size)
            command = [sys.executable, "-m", "benchmarks.memory", "--use", folder]
            done = subprocess.run(
                [*command, "--size", str(options.size)], capture_output=True, text=True, check=True
            )
            packed = (Path(folder) / "train.arrow").stat().st_size
        peaks[count] = int(done.stdout) / 1024
        print(f"{count:>7,} images, {packed / 2**20:.0f} MiB packed: peak {peaks[count]:.0f} MiB")
    first, last = options.counts[0], options.counts[-1]
    print(f"ratio {last:,} to {first:,}: {peaks[last] / peaks[first]:.3f}")


if __name__ == "__main__":
    main()
