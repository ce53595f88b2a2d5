# SPDX-License-Identifier: Apache-2.0
"""Two trainings at once against one after the other, and a lone one: with the OpenMP wait policy
that facetell chooses, and with the library's own.

Run: python -m benchmarks.beside [--model resnet50] [--images 128] [--rounds 2]
Takes about 3 minutes on two cores that do nothing else, most of it with the library's own policy.
For each policy two processes are started and warmed up; then the one trains an epoch, the other,
and both at once, in turns of the policies. Starting Python is not counted. Best of the rounds.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from benchmarks.images import make

# torch reads the environment when it is imported: whoever imports it first has the library's policy
FIRST = {"facetell's": "import pipeline", "the library's": "import torch"}
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
SIZE = 64  # px


def trainee(model: str, home: str) -> None:
    """A process that trains an epoch for every line of its input, and answers each with one."""
    from facetell.common.machine import device
    from facetell.images.packed import Packed
    from facetell.training.job import Engine, Job
    from facetell.training.trainer import Trainer
    from pipeline import train as stage
    from pipeline.settings import Settings

    settings = Settings.load()
    recipe = dataclasses.replace(stage.recipe(settings, model), image_size=SIZE, epochs=1000)
    train_set, valid_set = (Packed(Path(home) / split) for split in ("train", "valid"))
    job = Job(
        network=settings.network(model),
        recipe=recipe,
        train_set=train_set,
        valid_set=valid_set,
        seed=0,
    )
    trainer = Trainer(job, Engine(device=device()))
    trainer.train_one_epoch()  # to warm up
    print("ready", flush=True)
    for _ in sys.stdin:
        trainer.train_one_epoch()
        print("done", flush=True)


class Trainee:
    """The other end of ``trainee``: started, and not yet ready."""

    def __init__(self, first: str, model: str, home: Path) -> None:
        code = f"{first}; from benchmarks.beside import trainee; trainee({model!r}, {str(home)!r})"
        env = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> None:
        """Wait for one."""
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            sys.exit("a training has ended before its time")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def seconds(*trainees: Trainee) -> float:
    """Until each has trained an epoch; all start at once."""
    started = time.perf_counter()
    for one in trainees:
        one.go()
    for one in trainees:
        one.answer()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    alone: dict[str, list[float]] = defaultdict(list)
    both: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        make(Path(folder), options.images, SIZE)
        pairs = {}
        for policy, first in FIRST.items():
            pairs[policy] = [Trainee(first, options.model, Path(folder)) for _ in range(2)]
            for one in pairs[policy]:
                stack.callback(one.end)
                one.answer()
        for _ in range(options.rounds):
            for policy, pair in pairs.items():
                alone[policy] += [seconds(one) for one in pair]
                both[policy].append(seconds(*pair))
    for policy in FIRST:
        one, two = min(alone[policy]), min(both[policy])
        print(
            f"{policy:13} policy: one alone {one:5.1f} s, two at once {two:5.1f} s, "
            f"{two / (2 * one):.2f} times one after the other"
        )
    ours, theirs = (min(alone[policy]) for policy in FIRST)
    print(f"one alone with facetell's policy takes {ours / theirs:.2f} times as long")


if __name__ == "__main__":
    main()
