# SPDX-License-Identifier: Apache-2.0
"""Stages that several processes share write what one process writes, byte by byte."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT
from support.workspaces import ENVIRONMENT, changed, stage, workspace

from facetell.common.files import read_json, write_json

GROUPS = {"number": 1, "rule": "persons that the set names"}
FILES = {"groups": GROUPS, "effective": {}, "contradictions": 0, "copies": 0, "warnings": []}
SMALL = {"methods": ["gradcam", "saliency"], "permutations": 9, "planted": 8, "costly": False}
SMALL |= {
    "activation": {"layers": 1, "channels": 1, "steps": 1},
    "trials": {"images": 3, "depths": 1, "steps": 2, "fractions": [0.5], "draws": 1, "stops": 1},
}
WRITTEN = {
    "audit": ["metrics/data.json"],
    "predict": ["data/predictions/simplenet.parquet"],
    "explain": ["metrics/explain/simplenet.json", "data/maps/simplenet.parquet"],
}


def run(home: Path, name: str, *arguments: str) -> str:
    done = subprocess.run(
        stage(name, *arguments), cwd=home, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def home(packed_set, tmp_path_factory) -> Path:
    """A workspace with a trained network, on which each stage can run."""
    home = workspace(
        tmp_path_factory.mktemp("processes") / "home", packed_set,
        train={"epochs": 2}, score={"resamples": 50}, report={"images": 9},
    )  # fmt: skip
    changed(home, data={"image_size": 64, "suite": "some"})
    changed(home, predict={"suites": {"some": {"flip": {}, "noise": {"deviation": [0.05]}}}})
    changed(home, explain={"suite": "small", "suites": {"small": SMALL}})
    write_json(home / "metrics/files.json", FILES)
    run(home, "train", "simplenet")
    return home


def test_two_processes_write_what_one_writes(home):
    """One thread each; 24 test images are one batch or a few, so that one process has more."""
    for name, files in WRITTEN.items():
        arguments = [] if name == "audit" else ["simplenet"]
        found = []
        for processes in (1, 2):
            changed(home, processes=processes)
            said = run(home, name, *arguments)
            assert said.count("warning: Sharpness alone") == (name == "audit")
            found.append([(home / file).read_bytes() for file in files])
        assert found[0] == found[1], name


def test_a_wrong_file_is_one_line_whatever_the_number_of_processes(home):
    changed(home, processes=2)
    weights = home / "models/simplenet.safetensors"
    weights.rename(weights.with_suffix(".away"))
    try:
        done = subprocess.run(
            stage("predict", "simplenet"), cwd=home, env=ENVIRONMENT, capture_output=True, text=True
        )
    finally:
        weights.with_suffix(".away").rename(weights)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "models/simplenet.safetensors" in done.stderr


SRUN = """#!/bin/bash
"$@" &
"$@"
code=$?
wait $! && exit $code
"""
SCONTROL = "#!/bin/bash\necho 127.0.0.1; sleep 0.2; echo 127.0.0.2\n"  # nobody may stop listening


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_script_runs_on_two_nodes(home, tmp_path):
    """They are two processes of this machine, in one checkout, as on a shared file system."""
    script = ROOT / "docs/examples/slurm.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    variables = {"SLURM_NNODES": "2", "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "node[1-2]"}
    variables |= {"PATH": f"{tmp_path}{os.pathsep}{ENVIRONMENT['PATH']}", "PORT": "29411"}
    results = ("data/predictions/simplenet.parquet", "metrics/explain/simplenet.json")
    for name in results:
        (home / name).unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", script, "simplenet"], cwd=home, env=ENVIRONMENT | variables,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_json(home / "models/simplenet.json")["cost"]["processes"] == 2
    assert all((home / name).exists() for name in results)
