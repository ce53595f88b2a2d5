# SPDX-License-Identifier: Apache-2.0
"""The server under load: a real one, many requests at a time, a third of them bad.

Run: python -m benchmarks.serve [MODEL.safetensors] [--requests 500] [--at-once 20]
Without a model, resnet50 for 224 px with random weights: what is measured does not depend on them.
First one user alone: the first verdict of a photo of 12 megapixels, then moves of a slider. Then
all users. Memory is the resident set of the server's process.
"""

import argparse
import asyncio
import io
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.untrained import untrained

BAD = {  # what is sent, and the status that must come back
    "words": (b"no photo", {}, 415),
    "cut off": (None, {}, 422),
    "unknown model": (b"x", {"models": "../secret"}, 404),
    "wrong slider": (b"x", {"blur": "nan"}, 422),
}


def photo(width: int, height: int, kind: str = "JPEG") -> bytes:
    """A smooth picture with grain, encoded."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grained = (pixels + random.integers(-6, 7, pixels.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grained).save(buffer, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return buffer.getvalue()


@contextmanager
def started(weights: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server, once its model is loaded, and its process."""
    command = [sys.executable, "-m", "facetell", "serve", "--model", str(weights), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, "the server did not start"
            while not httpx.get(f"{found[0]}/healthz", timeout=60).json()["memory_mb"]:
                time.sleep(0.1)
            yield found[0], psutil.Process(process.pid)
        finally:
            process.terminate()


def alone(address: str) -> None:
    """What one user waits for."""
    large, small = photo(4000, 3000), photo(224, 224, "PNG")
    with httpx.Client(base_url=address, timeout=60) as client:

        def timed(data: bytes, **fields: float) -> float:
            begun = time.perf_counter()
            answer = client.post("/api/v1/explain", files={"photo": data}, data=fields)
            answer.raise_for_status()
            return time.perf_counter() - begun

        first = sorted(timed(large) for _ in range(5))
        moves = sorted(timed(small, blur=1 + step / 10, jpeg=80) for step in range(20))
    print("| one user | median | slowest |\n|---|---|---|")
    for name, times in (("first verdict, 12 megapixels", first), ("a slider's move", moves)):
        print(f"| {name} | {times[len(times) // 2]:.2f} s | {times[-1]:.2f} s |")


def bad_request(number: int, good: bytes) -> tuple[bytes, dict[str, str], int]:
    """One of the bad kinds."""
    data, fields, status = list(BAD.values())[number % len(BAD)]
    whole = {None: good[: len(good) // 2], b"x": good}
    return whole.get(data, data or b""), fields, status


async def together(address: str, process: psutil.Process, requests: int, at_once: int) -> None:
    """Many users, a third of whose requests are bad."""
    good = photo(1200, 900)
    turns, times = asyncio.Semaphore(at_once), []
    seen: Counter[str] = Counter()
    memory = [process.memory_info().rss]

    async def one(client: httpx.AsyncClient, number: int) -> None:
        data, fields, status = good, {"blur": "1"}, 200
        if number % 3 == 2:
            data, fields, status = bad_request(number // 3, good)
        async with turns:
            begun = time.perf_counter()
            answer = await client.post("/api/v1/explain", files={"photo": data}, data=fields)
            times.append(time.perf_counter() - begun)
        seen["as it must be" if answer.status_code == status else str(answer.status_code)] += 1
        memory.append(process.memory_info().rss)

    begun = time.perf_counter()
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        await asyncio.gather(*(one(client, number) for number in range(requests)))
    seconds = time.perf_counter() - begun
    p50, p95 = np.percentile(times, [50, 95])
    quarter = len(memory) // 4
    early, late = (max(part) / 2**20 for part in (memory[quarter : 2 * quarter], memory[-quarter:]))
    print(f"\n{requests} requests, {at_once} at a time, a third of them bad: {dict(seen)}")
    print("| requests/s | median | p95 | slowest | memory, 2nd quarter | memory, last quarter |")
    print("|---|---|---|---|---|---|")
    print(f"| {requests / seconds:.1f} | {p50:.2f} s | {p95:.2f} s | {max(times):.2f} s "
          f"| {early:.0f} MB | {late:.0f} MB |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, help="weights; default: a random resnet50")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=20)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        started(
            options.model or untrained(Path(folder) / "resnet50.safetensors", "resnet50", 224)
        ) as (address, process),
    ):
        alone(address)
        asyncio.run(together(address, process, options.requests, options.at_once))


if __name__ == "__main__":
    main()
