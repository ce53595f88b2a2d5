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
        chosen |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
    assert python("-c", say, **before).strip() == str(chosen | before)


WORKERS = """
import facetell, os
from facetell.common.parallel import in_processes

NAME = "OMP_WAIT_POLICY"

def say(_):
    print(os.getenv(NAME), flush=True)

class Data:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return os.getenv(NAME)

if __name__ == "__main__":
    from torch.multiprocessing import start_processes
    from torch.utils.data import DataLoader

    print(*in_processes(os.getenv, [NAME], workers=2), flush=True)
    print(*next(iter(DataLoader(Data(), num_workers=1))), flush=True)
    start_processes(say, nprocs=1)
"""


def test_every_worker_inherits_the_choice(tmp_path):
    """Those of joblib, of torch's loaders, and of a training by several processes."""
    (tmp_path / "workers.py").write_text(WORKERS, encoding="utf-8")
    assert python(str(tmp_path / "workers.py")).split() == ["passive"] * 3
