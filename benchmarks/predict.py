# SPDX-License-Identifier: Apache-2.0
"""facetell predict against the bare forward pass, and how soon the first verdict comes.

Run: python -m benchmarks.predict [--photos 1000] [--networks resnet50 simplenet] [--size 224]
Photos are rendered faces of 256 px, as JPEG at quality 95. The command decodes, fits, judges and
compares them with what the detector knows of its validation images. The bare pass gets batches of
the same number that are ready in memory. Both run in this process, in turn; the time to the first
verdict is that of the command as a whole process, for one photo, beside that of importing torch.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.untrained import untrained
from facetell.app.judging import BATCH, judged
from facetell.common.machine import device
from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.images.familiarity import Familiarity
from facetell.images.loading import fit, to_unit
from facetell.models.detector import Detector
from facetell.models.inference import margin_of

SIDE, DIFFERENT = 256, 100  # px of a photo; rendered faces, which are then given again


def photos(folder: Path, number: int) -> list[Path]:
    """Files, of which every ``DIFFERENT`` show the same."""
    rows = plan(RenderedSet(seed=0, train=DIFFERENT, valid=0, test=0, singles_per_kind=0))
    faces = [Image.fromarray(render(row, seed=0, size=SIDE).after) for row in rows[:DIFFERENT]]
    paths = [folder / f"{at}.jpg" for at in range(number)]
    for at, path in enumerate(paths):
        faces[at % DIFFERENT].save(path, quality=95)
    return paths


def detector(path: Path, network: str, size: int, known: list[Path]) -> Path:
    """An untrained one that knows what some photos look like: neither changes the time."""
    seen = [fit(np.array(Image.open(one)), size).numpy() for one in known]
    familiar = Familiarity.fit([(SIDE, SIDE)] * len(seen), seen)
    return untrained(path, network, size, familiar=familiar)


def rate(function: Callable[[], object], number: int) -> float:
    """Images a second."""
    started = time.perf_counter()
    function()
    return number / (time.perf_counter() - started)


def bare(path: Path, files: list[Path], number: int) -> Callable[[], object]:
    """The forward pass alone, over as many images."""
    loaded = Detector.load(path).to(device())
    batch = [fit(np.array(Image.open(one)), loaded.card.image_size) for one in files[:BATCH]]
    inputs = to_unit(torch.stack(batch), device())

    def run() -> None:
        with torch.inference_mode():
            for start, end in pairwise([*range(0, number, BATCH), number]):
                margin_of(loaded, inputs[: end - start])

    return run


def first_verdict(path: Path, photo: Path) -> float:
    """Seconds of the command as a process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "facetell", "predict", str(path), str(photo)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def importing() -> float:
    """Seconds of ``import torch``, which nothing here can be faster than."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--networks", nargs="+", default=["resnet50", "simplenet"])
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    print("| network | bare, images/s | predict, images/s | ratio | first verdict | import torch |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = photos(folder, options.photos)
        named = [(str(path), path) for path in files]
        for network in options.networks:
            path = detector(folder / f"{network}.safetensors", network, options.size, files[:100])
            run = bare(path, files, options.photos)
            run()
            pairs = [
                (rate(run, len(files)), rate(lambda: list(judged([path], named)), len(files)))  # noqa: B023
                for _ in range(3)
            ]
            without, command = np.median(pairs, axis=0)
            first = np.median([first_verdict(path, files[0]) for _ in range(3)])
            torch_alone = np.median([importing() for _ in range(3)])
            print(
                f"| `{network}` | {without:.1f} | {command:.1f} | {command / without:.2f} | "
                f"{first:.1f} s | {torch_alone:.1f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
