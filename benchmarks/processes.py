# SPDX-License-Identifier: Apache-2.0
"""How much faster the stages predict and explain are by several processes than by one.

Run: python -m benchmarks.processes [--model resnet50] [--images 256] [--size 128] [--processes 2]
Both stages run as a user runs them, their start and the figures included, on rendered faces and
with random weights, of which the time does not depend. Each process has one thread. One and several
processes run in turns; the fastest round of each counts. What they write must be the same.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import yaml

from benchmarks.untrained import untrained
from benchmarks.workspace import packed, workspace
from pipeline import compose, paths

STAGES = ("predict", "explain")
CALLED_FAKE = -1e9  # a threshold: explain puts maps to trial on fakes that are called so


def prepared(home: Path, model: str, images: int, size: int) -> Path:
    """A workspace with packed faces and a network that has learnt nothing."""
    parameters = home / "params.yaml"
    few = [f"data.fetch.{key}=20" for key in ("train", "valid")]
    compose.compose(
        parameters,
        [
            f"model={model}",
            f"data.image_size={size}",
            f"data.fetch.test={images}",
            "data.fetch.singles_per_kind=1",
            *few,
        ],
    )
    packed(workspace(home))
    untrained(home / paths.weights(model), model, size, threshold=CALLED_FAKE)
    return home


def measured(home: Path, name: str, model: str, processes: int) -> np.ndarray:
    """Of a stage by so many processes: seconds by the clock, and of a core along its longest way.

    That way is through the process that starts the others and the busiest of these. Other work on
    the machine does not lengthen it, as it does the time by the clock; nor does waiting.
    """
    parameters = home / "params.yaml"
    settings = yaml.safe_load(parameters.read_text(encoding="utf-8"))
    text = yaml.safe_dump(settings | {"processes": processes}, sort_keys=False)
    parameters.write_text(text, encoding="utf-8", newline="\n")
    started, busy = time.perf_counter(), {}
    command = [sys.executable, "-m", f"pipeline.{name}", model]
    running = psutil.Popen(command, cwd=home, stderr=subprocess.DEVNULL)
    while running.poll() is None:
        with suppress(psutil.Error):  # one has just ended
            # one process has children, too, which only write figures
            for one in (running, *(running.children() if processes > 1 else ())):
                busy[one.pid] = sum(one.cpu_times()[:2])
        time.sleep(0.1)
    if running.returncode:
        sys.exit(f"{name} has failed in {home}")
    first = busy.pop(running.pid)
    return np.array([time.perf_counter() - started, first + max(busy.values(), default=0.0)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=128, help="px")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    written = {"predict": paths.predictions, "explain": paths.explained}
    print(f"| stage | seconds | 1 process | {options.processes} processes | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        home = prepared(Path(folder), options.model, options.images, options.size)
        for name in STAGES:
            found: dict[int, list[np.ndarray]] = {1: [], options.processes: []}
            contents = set()
            for _ in range(options.rounds):
                for processes, taken in found.items():
                    taken.append(measured(home, name, options.model, processes))
                    contents.add((home / written[name](options.model)).read_bytes())
            assert len(contents) == 1, f"{name}: other numbers by other processes"
            ways = [np.min(taken, axis=0) for taken in found.values()]
            for kind, one, several in zip(("by the clock", "of a core"), *ways, strict=True):
                ratio = f"{one / several:.2f}"
                print(f"| {name} | {kind} | {one:.0f} | {several:.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
