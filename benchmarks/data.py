# SPDX-License-Identifier: Apache-2.0
"""The data stages against the number of images: time, memory, and what dvc adds.

Run: python -m benchmarks.data [--counts 10000 100000] [--size 256]
For each count a set of different images is made in the layout of Kaggle's 140k set, as one zip,
and split, packed and audited by the stages of the pipeline, each in a process as dvc starts it.
Memory is sampled every 0.2 s: of the largest process, and summed over the stage's processes, which
counts what they share, and the mapped pages of files, more than once. The start of
``dvc exp run --temp`` is measured in a repository with the same archive and packed files, from the
command to the first line of its stage.
"""

import argparse
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import chdir
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from joblib import cpu_count
from PIL import Image, ImageChops

from facetell.common.labels import SPLITS
from facetell.dataset.copies import ALIKE, perceptual_hash
from pipeline import compose

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("split", "pack", "audit")
COPIES = 10  # each so many-th image is a near copy of another
WANTED = 100_000  # images for which the whole time is said
RAW = Path("data/raw/faces140k/faces140k/faces140k.zip")
MIB = 2**20


class Cost(NamedTuple):
    """Wall seconds of a stage, and its peak of resident bytes: of one process, and of all."""

    seconds: float
    largest: int
    together: int


@lru_cache
def grain(size: int) -> list[Image.Image]:
    """Some fields of noise around grey, used again and again: drawing them is what takes long."""
    random = np.random.default_rng(0)
    fields = random.normal(128, 6, (32, size, size, 3)).clip(0, 255).astype(np.uint8)
    return [Image.fromarray(field) for field in fields]


def face(shape: int, number: int, size: int) -> bytes:
    """JPEG of the smooth random shapes of one seed, with the grain of another.

    No two seeds give shapes that are alike, and no two numbers the same file.
    """
    coarse = np.random.default_rng(shape).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    shapes = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    fields = grain(size)
    field, rest = number % len(fields), number // len(fields)
    noise = ImageChops.offset(fields[field], rest % size, rest // size % size)
    buffer = io.BytesIO()
    ImageChops.add(shapes, noise, 1.0, -128).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def _face(job: tuple[int, int, int]) -> bytes:
    return face(*job)


def listed(count: int) -> Iterator[tuple[str, str, str]]:
    """Split, class and name of every image: numbers for real ones, ten capitals for fakes."""
    for index in range(count):
        share, kind = (index // 2 + 0.5) / (count / 2), ("real", "fake")[index % 2]
        split = "train" if share < 0.72 else "valid" if share < 0.86 else "test"
        letters = [chr(65 + (index // 26**power) % 26) for power in range(10)]
        yield split, kind, f"{index // 2:05d}" if kind == "real" else "".join(letters)


def shapes_of(images: list[tuple[str, str, str]]) -> Iterator[int]:
    """Which shapes each image shows: its own, or where it is a near copy, another's of its split.

    Near copies are what the search looks at pixel by pixel.
    """
    for index, (split, *_) in enumerate(images):
        copy = index % COPIES == COPIES - 1 and images[index - 2][0] == split
        yield index - 2 if copy else index


def archive(path: Path, count: int, size: int) -> None:
    """A zip of ``count`` images in the layout of the 140k set."""
    images = list(listed(count))
    with zipfile.ZipFile(path, "w") as file, multiprocessing.Pool(cpu_count()) as pool:
        for split in SPLITS:
            lines = [",original_path,id,label,label_str,path"]
            for at, (_, kind, name) in enumerate(one for one in images if one[0] == split):
                where = f"{split}/{kind}/{name}.jpg"
                lines.append(f"{at},,{name},{int(kind == 'real')},{kind},{where}")
            file.writestr(f"{split}.csv", "\n".join(lines) + "\n")
        jobs = ((shape, number, size) for number, shape in enumerate(shapes_of(images)))
        made = pool.imap(_face, jobs, chunksize=64)
        for (split, kind, name), data in zip(images, made, strict=True):
            file.writestr(f"real_vs_fake/real-vs-fake/{split}/{kind}/{name}.jpg", data)


def nearest(count: int, size: int, sample: int = 400) -> int:
    """Smallest distance in bits between the hashes of some of ``count`` different shapes."""
    chosen = np.random.default_rng(1).choice(count, size=min(sample, count), replace=False)
    pictures = (Image.open(io.BytesIO(face(int(one), int(one), size))) for one in chosen)
    hashes = b"".join(perceptual_hash(picture) for picture in pictures)
    bits = np.unpackbits(np.frombuffer(hashes, np.uint8).reshape(len(chosen), -1), axis=1)
    bits = bits.astype(np.int32)
    distance = bits @ (1 - bits).T + (1 - bits) @ bits.T
    return int(distance[~np.eye(len(bits), dtype=bool)].min())


def measured(command: list[str], home: Path) -> Cost:
    """Run a command in ``home`` to its end."""
    started, largest, together = time.perf_counter(), 0, 0
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = psutil.Popen(command, cwd=home, env=environment)
    while process.poll() is None:
        sizes = [0]
        for one in (process, *_children(process)):
            try:
                sizes.append(one.memory_info().rss)
            except psutil.Error:  # has just ended
                continue
        largest, together = max(largest, *sizes), max(together, sum(sizes))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed in {home}")
    return Cost(time.perf_counter() - started, largest, together)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def stages(home: Path, count: int) -> dict[str, Cost]:
    """Each stage on the archive in ``home``, its cost printed as soon as it is known."""
    with chdir(ROOT):
        compose.compose(home / "params.yaml", ["data=faces140k"])
    costs = {}
    for stage in STAGES:
        costs[stage] = cost = measured([sys.executable, "-m", f"pipeline.{stage}"], home)
        print(
            f"{count:>9,} {stage:5} {cost.seconds:8.1f} s {count / cost.seconds:8.0f} images/s, "
            f"peak {cost.largest / MIB:6.0f} MiB in one process, {cost.together / MIB:6.0f} in all",
            flush=True,
        )
    return costs


DVC_YAML = """\
stages:
  first:
    cmd: {python} -c "import time; open('{home}/started', 'w').write(str(time.time()))"
    deps: [data/raw, data/packed]
    params: [turn]
"""


def start_of_dvc(home: Path) -> dict[str, float]:
    """Seconds from a command of dvc to the start of its stage, with the data of ``home``."""
    text = DVC_YAML.format(python=sys.executable, home=home.as_posix())
    (home / "dvc.yaml").write_text(text, encoding="utf-8", newline="\n")
    (home / "params.yaml").write_text("turn: 0\n", encoding="utf-8", newline="\n")
    ignored = "/started\n/metrics/\n/plots/\n/data/manifest.parquet\n"
    (home / ".gitignore").write_text(ignored, encoding="utf-8", newline="\n")
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "--quiet"],
        [*dvc, "init", "--quiet"],
        [*dvc, "config", "core.analytics", "false"],
        [*dvc, "config", "cache.type", "reflink,hardlink,copy"],
        [*dvc, "add", "--quiet", "data/raw", "data/packed"],
        [*dvc, "repro", "--quiet"],
        ["git", "add", "--all"],
        ["git", *who, "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(command, cwd=home, check=True)
    seconds = {}
    for turn, name in enumerate(("dvc exp run", "dvc exp run --temp"), start=1):
        started = time.time()
        command = [*dvc, *name.split()[1:], "--quiet", "--set-param", f"turn={turn}"]
        subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
        seconds[name] = float((home / "started").read_text(encoding="utf-8")) - started
    return seconds


def trial(count: int, size: int, folder: Path) -> dict[str, Cost]:
    """Everything for one number of images."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="benchmark-") as name:
        home = Path(name)
        (home / RAW).parent.mkdir(parents=True)
        started = time.perf_counter()
        archive(home / RAW, count, size)
        took, weight = time.perf_counter() - started, (home / RAW).stat().st_size / MIB
        print(f"{count:>9,} images, {weight:,.0f} MiB, made in {took:.0f} s", flush=True)
        costs = stages(home, count)
        for command, seconds in start_of_dvc(home).items():
            print(f"{count:>9,} {command}: {seconds:.1f} s until its stage starts", flush=True)
    return costs


def compare(first: int, last: int, costs: dict[int, dict[str, Cost]]) -> None:
    """What ``last`` images need in relation to ``first``."""
    print(f"\n{last:,} against {first:,} images:  time per image   peak of one   peak of all")
    for stage in STAGES:
        one, other = costs[first][stage], costs[last][stage]
        per_image = (other.seconds / last) / (one.seconds / first)
        print(
            f"{stage:26} {per_image:13.2f} {other.largest / one.largest:13.2f} "
            f"{other.together / one.together:13.2f}"
        )
    total = sum(cost.seconds for cost in costs[last].values())
    how = "" if last == WANTED else f", extrapolated in proportion from {last:,}"
    print(f"all stages for {WANTED:,} images: {total * WANTED / last / 60:.1f} min{how}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--folder", type=Path, default=ROOT.parent, help="on a disk, not in memory")
    options = parser.parse_args()
    apart = nearest(max(options.counts), options.size)
    print(f"different shapes are at least {apart} bits apart ({ALIKE} or less would be alike)")
    if apart <= ALIKE:
        raise SystemExit("they are too much alike: the leak gate would stop the stage")
    costs = {count: trial(count, options.size, options.folder) for count in options.counts}
    compare(options.counts[0], options.counts[-1], costs)


if __name__ == "__main__":
    main()
