# SPDX-License-Identifier: Apache-2.0
"""Training steps with malloc's own habits, and with the memory kept as the stages keep it.

Run: python -m benchmarks.memory_reuse [--model mobilenetv2_100] [--size 224]
Each trial is a process of its own, in turns; the median step after a warm-up is compared. On a
virtual machine whose host takes freed memory back, the first use of a page is what costs.
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from facetell.common.machine import keep_freed_memory
from facetell.models import build


def trial(model: str, size: int, steps: int = 12) -> list[float]:
    """Seconds of each float32 step on 32 images."""
    torch.manual_seed(0)
    network = build(model, image_size=size).train().to(memory_format=torch.channels_last)
    images = torch.rand(32, 3, size, size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        cross_entropy(network(images), torch.arange(32) % 2).backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mobilenetv2_100")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--keep", choices=["yes", "no"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep:
        if options.keep == "yes":
            keep_freed_memory()
        print(*trial(options.model, options.size))
        return
    medians: dict[str, list[float]] = {"no": [], "yes": []}
    for _ in range(options.trials):
        for keep, seconds in medians.items():
            command = [sys.executable, "-m", "benchmarks.memory_reuse", "--keep", keep]
            command += ["--model", options.model, "--size", str(options.size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times = [float(value) for value in done.stdout.split()]
            seconds.append(statistics.median(times[2:]))
            print(f"kept: {keep:3}  first {times[0]:.2f} s, median {seconds[-1]:.2f} s", flush=True)
    ratios = [no / yes for no, yes in zip(medians["no"], medians["yes"], strict=True)]
    print(f"faster with memory kept: {statistics.median(ratios):.2f}x (median of pairs), "
          f"pairs {', '.join(f'{ratio:.2f}' for ratio in ratios)}")  # fmt: skip


if __name__ == "__main__":
    main()
