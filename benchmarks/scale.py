# SPDX-License-Identifier: Apache-2.0
"""Time, memory and disk of every stage against the number of images: what docs/scale.md has.

Run: python -m benchmarks.scale 10000 100000 1000000 [--size 32] [--memory GIB] [--home FOLDER]
On photos: python -m benchmarks.scale 1000 4200 --archive 140k.zip -S data.suite=quick
For each number of images an archive in the layout of Kaggle's 140k set is drawn, or some of the
given one are taken. The commands of dvc.yaml run on it in their order, each in a process as dvc
starts it. SimpleNet trains for an epoch by the recipe quick; test images are scored as they are,
without perturbations. Beyond 100,000 images only the stages up to the scores run, with the network
that was trained on fewer; --every runs all.

Memory is sampled every 0.2 s: of the largest process, and summed over the stage's processes, which
counts what they share, and the mapped pages of files, more than once. A stage that takes more than
--memory in all is ended. Disk is by how much the workspace has grown. Last, what dvc adds: from the
command to the first line of a stage that depends on the same data.

A number is kept as docs/results/scale/SOURCE/N.json. What FOLDER holds is not made again.
``python -m pipeline.publish --tables`` makes the tables of docs/scale.md from these files.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import chdir, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml
from joblib import cpu_count

from benchmarks.archives import drawn, thinned
from facetell.common.errors import UserError
from facetell.common.files import read_json, write_json
from facetell.training.cost import machine_name
from pipeline import compose
from pipeline.scale_tables import RESULTS, ratios
from pipeline.stage import run

ROOT = Path(__file__).resolve().parent.parent
MODEL = "simplenet"
PLAIN = ["+predict.suites.plain={}", "data.suite=plain"]
TRAINED = 100_000  # images from which on a network that was trained on fewer is taken
LARGE = ("fetch", "split", "pack", "audit", "predict", "score")  # that run beyond
MIB = 2**20


@dataclass
class Cost:
    """Of a stage: wall and processor seconds, peak of resident MiB of one process and of all, and
    MiB by which the workspace has grown."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    largest_mib: float = 0.0
    together_mib: float = 0.0
    disk_mib: float = 0.0

    def add(self, command: list[str], home: Path, most: float) -> None:
        """Run a further command of the stage in ``home`` to its end.

        Raises
        ------
        UserError : it failed, or its processes together took more than ``most`` MiB.
        """
        before, started, spent = size_of(home), time.perf_counter(), 0.0
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = psutil.Popen(command, cwd=home, env=environment)
        while process.poll() is None:
            sizes, times = sampled(process)
            self.largest_mib = max(self.largest_mib, *sizes)
            self.together_mib = max(self.together_mib, sum(sizes))
            spent = max(spent, times)
            if self.together_mib > most:
                end(process)
                raise UserError(f"{' '.join(command)}: more than {most:,.0f} MiB in {home}")
            time.sleep(0.2)
        if process.returncode:
            raise UserError(f"{' '.join(command)} failed in {home}")
        self.seconds += time.perf_counter() - started
        self.processor_seconds += spent
        self.disk_mib += size_of(home) - before


def sampled(process: psutil.Process) -> tuple[list[float], float]:
    """Resident MiB of a process and of each below it, and processor seconds of all so far."""
    sizes, seconds = [0.0], 0.0
    with suppress(psutil.Error):
        seconds += sum(process.cpu_times()[2:4])  # of children that have ended
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):  # has just ended
                sizes.append(one.memory_info().rss / MIB)
                seconds += sum(one.cpu_times()[:2])
    return sizes, seconds


def end(process: psutil.Process) -> None:
    """End a process and all below it."""
    for one in (*process.children(recursive=True), process):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def size_of(home: Path) -> float:
    """MiB of all files in a folder."""
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / MIB


def commands() -> dict[str, list[list[str]]]:
    """The commands of dvc.yaml by stage, for one network; not what watches a user's own files."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = {}
    for name, entry in stages.items():
        if entry.get("foreach", "${models}") == "${models}":
            given = entry.get("do", entry)["cmd"]
            lines = [given] if isinstance(given, str) else given
            found[name] = [
                [sys.executable, *line.replace("${key}", MODEL).split()[1:]] for line in lines
            ]
    return found


class Trial:
    """Everything for one number of images, in a workspace that may be gone on in."""

    def __init__(self, count: int, options: argparse.Namespace, home: Path) -> None:
        self.count, self.options = count, options
        self.home = home / f"{options.archive.stem if options.archive else options.size}-{count}"
        self.notes = self.home.with_suffix(".json")
        self.costs: dict[str, Any] = read_json(self.notes) if self.notes.exists() else {}
        self.archive = self.home.with_suffix(".zip")

    def run(self, before: "Trial | None") -> dict[str, Any]:
        """The costs of each stage, each printed and kept as soon as it is known."""
        self.prepare()
        large = self.count > TRAINED and not self.options.every
        for stage, lines in commands().items():
            if large and stage not in LARGE:
                continue
            if large and stage == "predict":
                self.take_over(before)
            if stage not in self.costs:
                cost = Cost()
                for line in lines:
                    cost.add(line, self.home, self.options.memory * 1024)
                self.note(stage, asdict(cost))
            self.show(stage)
        if "dvc" not in self.costs:
            self.note("dvc", start_of_dvc(self.home))
        return self.costs

    def prepare(self) -> None:
        """The archive, and a workspace with what the stages read."""
        self.home.mkdir(parents=True, exist_ok=True)
        if not self.archive.exists():
            started = time.perf_counter()
            if self.options.archive:
                thinned(self.archive, self.count, self.options.archive)
            else:
                drawn(self.archive, self.count, self.options.size)
            weight, took = self.archive.stat().st_size / MIB, time.perf_counter() - started
            print(f"{self.count:>9,} images, {weight:,.0f} MiB, made in {took:.0f} s", flush=True)
        shutil.copy(ROOT / "dvc.yaml", self.home)
        shutil.copytree(ROOT / "plots/templates", self.home / "plots/templates", dirs_exist_ok=True)
        where = compose.quoted(f"data.archive={self.archive.resolve()}")
        with chdir(ROOT):
            compose.compose(self.home / "params.yaml", [*self.settings, where])

    @property
    def settings(self) -> list[str]:
        """What is composed, but for the archive's path."""
        own = ["data=faces140k", f"model={MODEL}", "data.recipe=quick", "train.epochs=1", *PLAIN]
        return own + self.options.set

    def take_over(self, before: "Trial | None") -> None:
        """The network that was trained on fewer images."""
        if before is None or not (before.home / "models").exists():
            raise UserError(
                f"start with a count up to {TRAINED:,}, on which the network is trained"
            )
        shutil.copytree(before.home / "models", self.home / "models", dirs_exist_ok=True)

    def note(self, name: str, value: dict[str, float]) -> None:
        self.costs[name] = value
        write_json(self.notes, self.costs, digits=2)

    def show(self, stage: str) -> None:
        cost = Cost(**self.costs[stage])
        print(
            f"{self.count:>9,} {stage:9} {cost.seconds:8.1f} s "
            f"({cost.processor_seconds:8.1f} s of processors), peak {cost.largest_mib:6,.0f} MiB "
            f"in one process, {cost.together_mib:6,.0f} in all, disk {cost.disk_mib:6,.0f} MiB",
            flush=True,
        )

    def found(self) -> dict[str, Any]:
        """What is kept: the costs, of what, and where they were measured."""
        costs = dict(self.costs)
        return {
            "images": self.count,
            "size": None if self.options.archive else self.options.size,
            "archive_mib": round(self.archive.stat().st_size / MIB, 1),
            "settings": self.settings,
            "machine": {
                "processor": machine_name(torch.device("cpu")),
                "cores": cpu_count(),
                "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
                "system": platform.system(),
                "torch": torch.__version__,
            },
            "dvc": costs.pop("dvc"),
            "stages": costs,
        }


DVC_YAML = """\
stages:
  first:
    cmd: {python} -c "import time; open('{home}/started', 'w').write(str(time.time()))"
    deps: [data]
    params: [turn]
"""


def start_of_dvc(home: Path) -> dict[str, float]:
    """Seconds from a command of dvc to the start of its stage, with the data of ``home``."""
    repository = home / "start"
    repository.mkdir(exist_ok=True)
    if not (repository / "data").exists():
        (home / "data").rename(repository / "data")
    text = DVC_YAML.format(python=sys.executable, home=repository.absolute().as_posix())
    for name, content in {
        "dvc.yaml": text, "params.yaml": "turn: 0\n", ".gitignore": "/started\n"
    }.items():  # fmt: skip
        (repository / name).write_text(content, encoding="utf-8", newline="\n")
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    dvc = [sys.executable, "-m", "dvc"]
    for command in (
        ["git", "init", "--quiet"],
        [*dvc, "init", "--quiet", "--force"],
        [*dvc, "config", "core.analytics", "false"],
        [*dvc, "config", "cache.type", "reflink,hardlink,copy"],
        [*dvc, "add", "--quiet", "data"],
        [*dvc, "repro", "--quiet"],
        ["git", "add", "--all"],
        ["git", *who, "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(command, cwd=repository, check=True)
    seconds = {}
    for turn, name in enumerate(("dvc exp run", "dvc exp run --temp"), start=1):
        started = time.time()
        command = [*dvc, *name.split()[1:], "--quiet", "--set-param", f"turn={turn}"]
        subprocess.run(command, cwd=repository, check=True, stdout=subprocess.DEVNULL)
        seconds[name] = float((repository / "started").read_text(encoding="utf-8")) - started
        print(f"{name}: {seconds[name]:.1f} s until its stage starts", flush=True)
    return seconds


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("counts", type=int, nargs="+", help="numbers of images, ascending")
    parser.add_argument("--size", type=int, default=32, help="px of drawn images")
    parser.add_argument("--archive", type=Path, help="of the 140k set, in place of drawn images")
    parser.add_argument("--memory", type=float, default=float("inf"), help="GiB, at most")
    parser.add_argument("--every", action="store_true", help="run all stages, whatever the count")
    parser.add_argument("--home", type=Path, help="a folder on a disk, to go on in later")
    parser.add_argument("-S", dest="set", action="append", default=[], help="KEY=VALUE, as of dvc")
    options = parser.parse_args(arguments)
    source = RESULTS / ("photos" if options.archive else "drawn")
    with tempfile.TemporaryDirectory() as temporary:
        before = None
        for count in sorted(options.counts):
            trial = Trial(count, options, (options.home or Path(temporary)).absolute())
            trial.run(before)
            write_json(source / f"{count}.json", trial.found(), digits=2)
            before = trial
    print(ratios(source.name))


if __name__ == "__main__":
    run(main)
