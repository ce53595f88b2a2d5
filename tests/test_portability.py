# SPDX-License-Identifier: Apache-2.0
"""What the code must not leave to the operating system, because they differ."""

import ast
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
from support import ROOT

from facetell.images.loading import TrainingImages, training_batches, training_order
from facetell.images.packed import Packed
from facetell.training.augmentations import AUGMENTATIONS, augmentation
from facetell.training.cost import peak_memory

CODE = [
    "tasks.py",
    *(
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "pipeline", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
]
MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}  # that Windows has not
NAMES = {  # of os, signal, mmap and the C library, that some system has not
    *("fork", "getpgid", "getuid", "killpg", "madvise", "mallopt", "mkfifo", "nice"),
    *("posix_fadvise", "pread", "sched_getaffinity", "setitimer", "setsid", "statvfs", "sysconf"),
    *("uname", "O_DIRECT", "O_CLOEXEC", "SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1"),
}
ASKS = ("sys.platform", "os.name", "hasattr(", "getattr(", ".exists()")  # what there is


def not_everywhere(text: str) -> Iterator[str]:
    """Names that some system lacks, in functions that do not ask whether they are there."""
    tree = ast.parse(text)
    for part in tree.body:
        asks = any(sign in ast.unparse(part) for sign in ASKS)
        for node in ast.walk(part):
            if isinstance(node, ast.Import) and node in tree.body:
                yield from (alias.name for alias in node.names if alias.name in MODULES)
            if asks:
                continue
            if isinstance(node, ast.Attribute) and node.attr in NAMES:
                yield node.attr
            if isinstance(node, ast.Constant) and str(node.value).startswith(("/proc/", "/dev/")):
                yield node.value


def unspecific(text: str) -> Iterator[str]:
    """Calls that leave the encoding, or the ends of lines that are written, to the system."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if method == "to_csv" and given.get("lineterminator") != r"'\n'":
            yield f"to_csv without lineterminator: line {node.lineno}"
        mode = {"read_text": "'r'", "write_text": "'w'"}.get(method, "'b'")
        if ast.unparse(node.func) == "open":
            mode = ast.unparse(node.args[1]) if len(node.args) > 1 else given.get("mode", "'r'")
        if "b" not in mode and "encoding" not in given:
            yield f"{method or 'open'} without encoding: line {node.lineno}"
        if "b" not in mode and "r" not in mode and given.get("newline") != r"'\n'":
            yield f"{method or 'open'} without newline: line {node.lineno}"


def uncapped(text: str) -> Iterator[str]:
    """Counts of all cores, where joblib's counts those that this process may use."""
    for node in ast.walk(ast.parse(text)):
        if ast.unparse(node) in ("os.cpu_count", "multiprocessing.cpu_count"):
            yield f"{ast.unparse(node)}: line {node.lineno}"


@pytest.mark.parametrize("check", [not_everywhere, unspecific, uncapped])
def test_code_is_for_every_system(check):
    found = {file: list(check((ROOT / file).read_text(encoding="utf-8"))) for file in CODE}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import resource", ["resource"]),
        ("def f():\n    import resource", []),
        ("def f():\n    os.sched_getaffinity(0)", ["sched_getaffinity"]),
        ("def f():\n    if sys.platform == 'linux':\n        os.sched_getaffinity(0)", []),
        ("open('/proc/cpuinfo')", ["/proc/cpuinfo"]),
    ],
)
def test_what_one_system_has_is_found(text, found):
    assert list(not_everywhere(text)) == found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("open(p)", 1),
        ("open(p, 'rb')", 0),
        ("open(p, 'w', encoding='utf-8')", 1),
        ("path.write_text(t)", 2),
        (r"path.write_text(t, encoding='utf-8', newline='\n')", 0),
        ("path.read_text()", 1),
        ("table.to_csv(p)", 1),
    ],
)
def test_unspecific_calls_are_found(text, count):
    assert len(list(unspecific(text))) == count


def test_the_cores_of_a_share_are_counted():
    """What gives each of several experiments on one machine its own."""
    assert list(uncapped("import os\nworkers = os.cpu_count() or 1")) == ["os.cpu_count: line 2"]
    say = "import joblib; print(joblib.cpu_count())"
    shared = os.environ | {"LOKY_MAX_CPU_COUNT": "1"}
    assert subprocess.check_output([sys.executable, "-c", say], env=shared, text=True) == "1\n"


def test_peak_memory_has_a_source_on_every_system(monkeypatch):
    here = peak_memory()
    assert 10 < here < 1e5
    seen = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=3 * 2**20))
    monkeypatch.setattr(psutil, "Process", lambda: seen)
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_memory() == 3
    monkeypatch.setattr(sys, "platform", "darwin")  # counts bytes, Linux kibibytes
    assert peak_memory() == pytest.approx(here / 1024, rel=0.5)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_images_travel_to_a_fresh_process(packed_set, augment):
    """Where processes are not forked, what a loader works on is pickled."""
    images = TrainingImages(
        Packed(packed_set / "train"), 32, augment=augmentation(augment, 32), seed=0
    )
    copied = pickle.loads(pickle.dumps(images))
    assert (copied[3][1] == images[3][1]).all()


def test_loaders_work_with_fresh_processes(packed_set):
    images = TrainingImages(
        Packed(packed_set / "train"), 32, augment=augmentation("flip", 32), seed=0
    )
    order = training_order(images, 24)
    fresh = training_batches(images, order, workers=1)
    fresh.multiprocessing_context = "spawn"  # as on macOS and Windows
    here = training_batches(images, order)
    assert all((a[1] == b[1]).all() for a, b in zip(fresh, here, strict=True))
