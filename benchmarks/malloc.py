"""Training steps with malloc as facetell sets it, against malloc as it is by default.

Run: python -m benchmarks.malloc
Both alternate in processes of their own, since the setting cannot be taken back.
"""

import statistics
import subprocess
import sys
import time

import torch

import pipeline  # noqa: F401  (puts this checkout's library first)
from facetell import machine
from facetell.models import build

ROUNDS, SECONDS, BATCH, SIZE = 3, 5.0, 32, 64


def images_per_second(network: str, tuned: bool) -> float:
    """Throughput of bfloat16 training steps on random images."""
    torch.set_flush_denormal(True)
    if tuned:
        machine.device()
    torch.manual_seed(0)
    model = build(network, image_size=SIZE).to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    steps, started = -1, time.monotonic()
    while steps < 0 or time.monotonic() - started < SECONDS:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(images).float().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if steps < 0:  # the first one chooses kernels
            started = time.monotonic()
        steps += 1
    return steps * BATCH / (time.monotonic() - started)


def main() -> None:
    if len(sys.argv) == 3:
        print(images_per_second(sys.argv[1], sys.argv[2] == "tuned"))
        return
    for network in ("resnet50", "swin"):
        rates: dict[str, list[float]] = {"default": [], "tuned": []}
        for _ in range(ROUNDS):
            for setting, found in rates.items():
                command = [sys.executable, "-m", "benchmarks.malloc", network, setting]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(float(done.stdout))
        default, tuned = (statistics.median(found) for found in rates.values())
        print(f"{network}: {default:.0f} -> {tuned:.0f} images/s, ratio {tuned / default:.2f}")


if __name__ == "__main__":
    main()
