# SPDX-License-Identifier: Apache-2.0
"""A training that is interrupted ends with all its processes, and no other mixes with it.

With real processes, in a dvc project of one stage; each test goes on from the last one's state.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from support import ROOT
from support.clones import ENV

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals"),
]

COMMAND = [sys.executable, "-m", "pipeline.train", "simplenet"]
STATE = ".cache/training/simplenet/last.pt"
SOON = 20  # seconds: four, and what a busy machine adds
GONE = "facetell: dvc is gone, which has started train: it ends, too; run it again to go on"


@pytest.fixture(scope="module", autouse=True)
def heard() -> Iterator[None]:
    """What ignores a signal hands that on to all that it starts, as nohup does and a shell in the
    background. What handles it does not."""
    numbers = (signal.SIGINT, signal.SIGHUP)
    ignored = [number for number in numbers if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="module")
def project(packed_set, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("interrupted")
    (home / "data/packed").mkdir(parents=True)
    for split in ("train", "valid", "test"):
        shutil.copytree(packed_set / split, home / f"data/packed/{split}")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["train"] |= {"epochs": 300, "workers": 1}
    settings["data"]["image_size"] = 64
    write(home / "params.yaml", settings)
    stage = {"cmd": " ".join(COMMAND), "deps": ["data/packed"], "outs": ["models"]}
    write(home / "dvc.yaml", {"stages": {"train": stage}})
    subprocess.run(["dvc", "init", "-q", "--no-scm"], cwd=home, env=ENV, check=True)
    return home.resolve()


def write(path: Path, content: dict) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


class Running:
    """A command under way, what it and its children have said, and which processes they are."""

    def __init__(self, home: Path, command: list[str], **env: str) -> None:
        self.log = home / "log"
        with open(self.log, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, cwd=home, env=ENV | {"PYTHONPATH": str(ROOT)} | env, stdout=file,
                stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.home = home

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def trains(self, processes: int) -> None:
        """Wait until an epoch is done, and so many processes are at work."""
        assert until(lambda: re.search(r"epoch \d+/300", self.said), 240), self.said
        assert until(lambda: len(working(self.home)) >= processes, 60), working(self.home)

    def ended(self, seconds: float = SOON) -> bool:
        """Whether all processes of the stage end in so many seconds."""
        return until(lambda: not working(self.home), seconds)


@contextmanager
def running(home: Path, command: list[str], **env: str) -> Iterator[Running]:
    started = Running(home, command, **env)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        for process in working(home):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def working(home: Path) -> list[psutil.Process]:
    """Processes in a folder, but for dvc's own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            here = process.cwd() == str(home) and process.status() != psutil.STATUS_ZOMBIE
            if here and not any(
                word.endswith(("/dvc", "dvc.daemon")) for word in process.cmdline()
            ):
                found.append(process)
    return found


def until(happened: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def epochs_done(home: Path) -> int:
    """Of the state, which is whole if it can be loaded."""
    return torch.load(home / STATE, weights_only=True)["epoch"]


@pytest.mark.parametrize(
    ("shell", "number"),
    [
        ("sh", signal.SIGTERM),
        ("sh", signal.SIGHUP),
        ("sh", signal.SIGKILL),
        ("bash", signal.SIGKILL),  # which replaces itself by the stage; sh may wait for it
    ],
)
def test_a_stage_ends_with_dvc(project, number, shell):
    with running(project, ["dvc", "repro"], SHELL=shutil.which(shell) or "") as dvc:
        dvc.trains(processes=2)  # the stage and its worker
        dvc.process.send_signal(number)
        assert dvc.process.wait(SOON) != 0
        assert dvc.ended(), dvc.said
    assert dvc.said.count(GONE) == 1
    assert "Traceback" not in dvc.said
    assert epochs_done(project) > 0


def test_an_interruption_from_the_terminal_is_one_line(project):
    with running(project, ["dvc", "repro"]) as dvc:
        dvc.trains(processes=2)
        assert "going on after epoch" in dvc.said  # dvc has recovered from what came before
        os.killpg(dvc.process.pid, signal.SIGINT)
        assert dvc.process.wait(SOON) != 0
        assert dvc.ended(), dvc.said
    assert dvc.said.count("facetell: ended by SIGINT; run it again to go on") == 1
    assert "Traceback" not in dvc.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_stage_ends_it(project, number):
    with running(project, COMMAND) as stage:
        stage.trains(processes=1)
        stage.process.send_signal(number)
        assert stage.process.wait(SOON) == 128 + number
        assert stage.ended(), stage.said
    assert stage.said.count(f"facetell: ended by {signal.Signals(number).name}; run it") == 1
    assert "Traceback" not in stage.said


def test_a_stage_that_was_started_by_hand_outlives_its_terminal(project):
    with running(project, ["sh", "-c", f"nohup {' '.join(COMMAND)}; true"]) as terminal:
        terminal.trains(processes=2)
        terminal.process.kill()
        os.killpg(terminal.process.pid, signal.SIGHUP)
        before = epochs_done(project)
        assert not terminal.ended(3)
        assert until(lambda: epochs_done(project) > before, SOON), terminal.said
    assert "facetell: " not in terminal.said.replace("facetell: .cache", "")


def test_a_second_training_waits_for_the_first(project):
    """And takes up its state: never do both write."""
    with running(project, COMMAND) as first:
        first.trains(processes=1)
        other = project / "other"
        other.mkdir()
        with open(other / "log", "w", encoding="utf-8") as file:
            second = subprocess.Popen(
                COMMAND, cwd=project, env=ENV | {"PYTHONPATH": str(ROOT)}, stderr=file
            )
        try:
            says = lambda: (other / "log").read_text(encoding="utf-8")  # noqa: E731
            assert until(lambda: "waiting until that ends" in says(), 120), says()
            held = rf"\.cache/training/simplenet is in use by process {first.process.pid} since 20"
            assert re.search(held, says())
            time.sleep(1)
            assert "epoch" not in says()
            first.process.kill()
            first.process.wait()
            done = epochs_done(project)
            assert until(lambda: f"epoch {done + 1}/300" in says(), 120), says()
            assert f"going on after epoch {done}\n" in says()
        finally:
            second.kill()
            second.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_train_together_end_together(project, number):
    settings = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    settings["processes"] = 2
    settings["train"]["workers"] = 0
    write(project / "params.yaml", settings)
    with running(project, COMMAND) as stage:
        stage.trains(processes=3)  # the first has started the two that train
        assert "in use" not in stage.said
        stage.process.send_signal(number)
        stage.process.wait(SOON)
        assert stage.ended(), stage.said
    assert "Traceback" not in stage.said
    assert epochs_done(project) > 0
    settings["processes"] = 1
    settings["train"]["workers"] = 1
    write(project / "params.yaml", settings)


def test_copies_of_the_repository_are_no_others(project, tmp_path):
    """Queued and temporary experiments run in folders of their own."""
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    with running(project, COMMAND) as one, running(copy, COMMAND) as other:
        one.trains(processes=1)
        other.trains(processes=1)
        assert "in use" not in one.said + other.said
