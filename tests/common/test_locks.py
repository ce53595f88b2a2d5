# SPDX-License-Identifier: Apache-2.0
"""One process at a time holds a path; the other says who does, and waits."""

import subprocess
import sys

from support import ROOT

from facetell.common.locks import alone

HOLD = """
import sys, time
sys.path.insert(0, {source!r})
from pathlib import Path
from facetell.common.locks import alone
with alone(Path({path!r})):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_is_named_and_its_lock_is_free(tmp_path):
    path = tmp_path / "new" / "state"
    code = HOLD.format(source=str(ROOT / "src"), path=str(path))
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    said = []

    def say(line: str) -> None:
        said.append(line)
        holder.kill()  # it ends while this process waits

    with alone(path, say=say):
        assert holder.wait() != 0
    holder.stdout.close()
    assert len(said) == 1
    assert f"{path} is in use by process {holder.pid} since 20" in said[0]


def test_an_error_frees_the_lock(tmp_path):
    for _ in range(2):
        try:
            with alone(tmp_path / "state", say=nobody_waits):
                raise ValueError
        except ValueError:
            continue
    assert [left.name for left in tmp_path.iterdir()] == ["state.lock"]


def nobody_waits(line: str) -> None:
    raise AssertionError(line)
