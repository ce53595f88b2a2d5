# SPDX-License-Identifier: Apache-2.0
"""What is chosen before torch is imported: libraries read it once, as they are loaded."""

import os
import subprocess
import sys

import pytest
from support import ROOT

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
FALLBACKS = ("PYTORCH_ENABLE_MPS_FALLBACK", "PYTORCH_ENABLE_XPU_FALLBACK")


def python(*arguments: str, **given: str) -> str:
    """What a fresh Python says on both streams, in an environment in which nothing is chosen."""
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS + FALLBACKS}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])} | given
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU's OpenMP on Linux only")
@pytest.mark.parametrize(
    "start",
    [
        ("-m", "pipeline.train"),  # every stage begins with the same package
        ("-m", "facetell", "export", "missing.safetensors"),
        ("-c", "import facetell, torch"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_openmp_waits_without_spinning(start):
    """Its library says itself what it has understood."""
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in python(*start, OMP_DISPLAY_ENV="true")


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU's OpenMP on Linux only")
def test_openmp_waits_as_the_user_wants():
    shown = python("-c", "import facetell, torch", OMP_DISPLAY_ENV="true", OMP_WAIT_POLICY="active")
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in shown
    shown = python("-c", "import facetell, torch", OMP_DISPLAY_ENV="verbose", GOMP_SPINCOUNT="1234")
    assert "GOMP_SPINCOUNT = '1234'" in shown
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in shown  # its default by name; the count is what holds


@pytest.mark.parametrize("name", [*SETTINGS, *FALLBACKS])
def test_what_the_user_has_set_stays(name):
    say = f"import facetell, os; print({{n: os.environ.get(n) for n in {SETTINGS + FALLBACKS}}})"
    before = {name: "0"}
    chosen = dict.fromkeys(SETTINGS) | dict.fromkeys(FALLBACKS, "1")
    if name in FALLBACKS:
        chosen["OMP_WAIT_POLICY"] = "passive"
    assert python("-c", say, **before).strip() == str(chosen | before)


def test_every_worker_inherits_the_choice():
    """Those of joblib, of torch's loaders, and of a training by several processes."""
    work = "from tests.test_environment import policies; policies()"
    assert python("-c", work, PYTHONPATH=worker_path()).split() == ["passive"] * 3


def worker_path() -> str:
    return os.pathsep.join(str(ROOT / part) for part in ("src", "", "tests"))


def policy(_: object = None) -> str:
    return os.environ.get("OMP_WAIT_POLICY", "none")


class Policies:
    """A data set of one item: what a worker of a loader finds."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> str:
        return policy()


def say_policy(*_: object) -> None:
    print(policy(), flush=True)


def policies() -> None:
    import facetell  # noqa: F401, I001  (first, as in every stage)
    from torch.utils.data import DataLoader
    from torch.multiprocessing import start_processes

    from facetell.common.parallel import in_processes

    print(*in_processes(policy, [0], workers=2))
    print(*next(iter(DataLoader(Policies(), num_workers=1))))
    start_processes(say_policy, nprocs=1)
