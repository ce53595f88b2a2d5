# SPDX-License-Identifier: Apache-2.0
"""Two machines work as one, and nothing is lost when one of them fails.

The machines are network namespaces: each has its own network and its own working folder, and they
reach each other by one cable alone.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from support.workspaces import ENVIRONMENT, changed, stage, workspace

EPOCHS = 30
STATE = ".cache/training/simplenet/last.pt"
PORT = 29500
NAMES = [f"ft{os.getpid()}{letter}" for letter in "ab"]  # of this run; an interface's are short


def ip(*words: str) -> bool:
    """Whether a command of iproute2 succeeds."""
    return subprocess.run(["ip", *words], capture_output=True).returncode == 0


def allowed() -> bool:
    """Whether network namespaces can be made here."""
    if sys.platform != "linux" or os.geteuid() or shutil.which("ip") is None:
        return False
    return ip("netns", "add", NAMES[0]) and ip("netns", "del", NAMES[0])


pytestmark = pytest.mark.skipif(not allowed(), reason="needs root, iproute2 and network namespaces")


class Host:
    """A machine with its own network, home and working folder."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.name, self.folder = number, NAMES[number], folder
        self.address, self.home = f"10.77.0.{number + 1}", folder / "work"

    def start(self, *command: str) -> subprocess.Popen:
        """What the command says goes to ``log``."""
        env = ENVIRONMENT | {
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
            "GLOO_SOCKET_IFNAME": f"{self.name}-v",
        }
        with open(self.log, "w", encoding="utf-8") as file:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=self.home, env=env, stdout=file, stderr=file,
            )  # fmt: skip

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def fail(self) -> None:
        """All of its processes are gone at once."""
        pids = subprocess.check_output(["ip", "netns", "pids", self.name], text=True).split()
        for pid in map(int, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def hosts(packed_set, tmp_path_factory) -> Iterator[list[Host]]:
    folder = tmp_path_factory.mktemp("hosts")
    found = [Host(number, folder / name) for number, name in enumerate(NAMES)]
    for host in found:
        assert ip("netns", "add", host.name)
        workspace(
            host.home, packed_set,
            train={"epochs": EPOCHS}, data={"image_size": 64, "suite": "some"},
            predict={"suites": {"some": {"flip": {}}}},
        )  # fmt: skip
    first, second = found
    assert ip(
        *("link", "add", f"{first.name}-v", "netns", first.name, "type", "veth"),
        *("peer", "name", f"{second.name}-v", "netns", second.name),
    )
    for host in found:
        inside = ("-n", host.name)
        assert ip(*inside, "addr", "add", f"{host.address}/24", "dev", f"{host.name}-v")
        assert ip(*inside, "link", "set", f"{host.name}-v", "up")
        assert ip(*inside, "link", "set", "lo", "up")
    yield found
    for host in found:
        host.fail()
        ip("netns", "del", host.name)


def together(hosts: Sequence[Host], name: str, *arguments: str) -> list[subprocess.Popen]:
    """A stage begun on all hosts by the command of docs/machines.md."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint={hosts[0].address}:{PORT}"]
    # machines tell by their names who is meant; namespaces have one name
    own = [
        [f"--local-addr={host.address}", f"--rdzv-conf=is_host={int(host is hosts[0])}"]
        for host in hosts
    ]
    command = stage(name, *arguments)[1:]
    return [host.start(*torchrun, *of_it, *command) for host, of_it in zip(hosts, own, strict=True)]


def finish(hosts: Sequence[Host], started: Sequence[subprocess.Popen]) -> None:
    codes = [one.wait(300) for one in started]
    assert not any(codes), "\n".join(host.said for host in hosts)


def writer(hosts: Sequence[Host]) -> Host:
    """The host of the first process, which alone has results; the meeting decides which it is."""
    (found,) = [host for host in hosts if (host.home / "models/simplenet.safetensors").exists()]
    return found


def trained(host: Host) -> list[bytes]:
    names = ("models/simplenet.safetensors", "data/epochs/simplenet.parquet")
    return [(host.home / name).read_bytes() for name in names]


def until_some_epochs_are_done(hosts: Sequence[Host]) -> Host:
    """The host that keeps the state."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        for host in hosts:
            if re.search(r"epoch [3-9]/", host.said) and (host.home / STATE).exists():
                return host
        time.sleep(0.02)
    raise AssertionError("\n".join(host.said for host in hosts))


@pytest.fixture(scope="module")
def uninterrupted(hosts) -> list[bytes]:
    finish(hosts, together(hosts, "train", "simplenet"))
    return trained(writer(hosts))


def test_a_training_outlives_the_failure_of_a_host(hosts, uninterrupted):
    shutil.rmtree(writer(hosts).home / "models")
    started = together(hosts, "train", "simplenet")
    keeper = until_some_epochs_are_done(hosts)
    (other,) = [host for host in hosts if host is not keeper]
    other.fail()
    assert all(one.wait(200) for one in started)
    assert "a process that shares the work is gone or not to be reached" in keeper.said
    assert "run the same command again" in keeper.said
    done = torch.load(keeper.home / STATE, weights_only=True)["epoch"]
    assert 3 <= done < EPOCHS
    # the meeting may give the first rank to the other host now: the state is where it was
    finish(hosts, together(hosts, "train", "simplenet"))
    said = writer(hosts).said
    assert f"going on after epoch {done}\n" in said
    assert f"epoch {done}/{EPOCHS}" not in said
    assert trained(writer(hosts)) == uninterrupted


def test_two_hosts_score_what_one_process_scores(hosts, uninterrupted):
    """Both have the weights and the images, as a shared file system or a dvc remote give them."""
    owner = writer(hosts)
    for host in hosts:
        if host is not owner:
            shutil.copytree(owner.home / "models", host.home / "models")
    file = "data/predictions/simplenet.parquet"
    changed(owner.home, processes=1)
    alone = owner.start(*stage("predict", "simplenet"))
    finish([owner], [alone])
    expected = (owner.home / file).read_bytes()
    (owner.home / file).unlink()
    finish(hosts, together(hosts, "predict", "simplenet"))
    (found,) = [host for host in hosts if (host.home / file).exists()]
    assert (found.home / file).read_bytes() == expected
