# SPDX-License-Identifier: Apache-2.0
"""Experiments side by side give what they give one after the other.

The cross sweep of the manual on a tiny set, in two throw-away clones of one commit.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clones import ENV, call, commit, tiny_clone

pytestmark = pytest.mark.contract

PLATFORMS = ("presocial", "telegram")
CHANGES = {
    "model": "simplenet",
    "score.resamples": "20",
    "data.launder": f"[{','.join(PLATFORMS)}]",
    "data.train_on": ",".join(PLATFORMS),
}
SWEEP = [word for key, value in CHANGES.items() for word in ("-S", f"{key}={value}")]
ONE_CORE = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
LOOK = 10  # seconds between two looks, each of which takes some itself
LONGEST = 1800  # seconds: many times what the sweep takes on a machine that does nothing else
SCORES = "metrics/models/simplenet.json"
MEASURED = ("models/simplenet.json", SCORES)  # outputs that hold seconds and memory, too


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the set fetched and committed, so that no experiment has to."""
    home = tiny_clone(tmp_path_factory.mktemp("queue") / "serial")
    call(home, "dvc", "repro", "fetch")
    commit(home)
    return home


def queued(home: Path) -> None:
    call(home, "dvc", "exp", "run", "--queue", *SWEEP, "score@simplenet")


def start(home: Path, workers: int) -> None:
    with open(home.parent / "workers.log", "a", encoding="utf-8") as log:
        # workers inherit the output: a pipe would be waited for until they end
        subprocess.run(
            ["dvc", "queue", "start", "-j", str(workers)], cwd=home, env=ENV | ONE_CORE,
            stdout=log, stderr=log, check=True,
        )  # fmt: skip


def run_by(home: Path, workers: int) -> int:
    """Run what is queued in the background; how many were seen to run at once."""
    start(home, workers)
    most, deadline = 0, time.monotonic() + LONGEST
    try:
        while "Queued" in (states := call(home, "dvc", "queue", "status")) or "Running" in states:
            most = max(most, states.count("Running"))
            assert time.monotonic() < deadline, states
            if "0 active" in states and "Queued" in states:  # workers may end before the last one
                start(home, workers)
            time.sleep(LOOK)
    finally:
        call(home, "dvc", "queue", "stop", "--kill")
    assert "Failed" not in states, states
    return most


def results(home: Path) -> dict[str, tuple[Any, Any]]:
    """Scores and digests of outputs by what the experiment was trained on, without times."""
    found = {}
    for name in call(home, "dvc", "exp", "list", "--name-only").split():
        scores = json.loads(shown(home, name, SCORES))
        del scores["training"]["cost"]
        stages = yaml.safe_load(shown(home, name, "dvc.lock"))["stages"]
        digests = {
            out["path"]: out["md5"]
            for stage in stages.values()
            for out in stage["outs"]
            if out["path"] not in MEASURED
        }
        settings = yaml.safe_load(shown(home, name, "params.yaml"))
        found[settings["data"]["train_on"]] = scores, digests
    return found


def shown(home: Path, experiment: str, file: str) -> str:
    return call(home, "git", "show", f"{revision(home, experiment)}:{file}")


def revision(home: Path, experiment: str) -> str:
    refs = call(home, "git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps")
    return next(line.split()[0] for line in refs.splitlines() if line.endswith(f"/{experiment}"))


def test_a_sweep_side_by_side_is_that_of_one_after_the_other(clone):
    other = clone.with_name("parallel")
    call(clone.parent, "git", "clone", "-q", str(clone), str(other))
    call(other, "dvc", "cache", "dir", "--local", str(clone / ".dvc/cache"))
    call(other, "dvc", "checkout", "fetch")
    call(other, "dvc", "cache", "dir", "--local", "--unset")
    queued(other)
    assert run_by(other, workers=2) == 2
    queued(clone)
    assert run_by(clone, workers=1) == 1
    parallel, serial = results(other), results(clone)
    assert set(parallel) == set(PLATFORMS)
    assert parallel == serial
    assert len({json.dumps(scores) for scores, _ in serial.values()}) == len(PLATFORMS)
    assert all(set(MEASURED).isdisjoint(digests) for _, digests in serial.values())
