# SPDX-License-Identifier: Apache-2.0
"""Throw-away clones of the repository, in which tests run its commands on a tiny configuration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from support import ROOT

TINY = {"train": 48, "valid": 24, "test": 24, "singles_per_kind": 1}
ENV = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
}  # fmt: skip
ENV.pop("DVC_ROOT", None)


def call(where: Path, *command: str, fails: bool = False, **options) -> str:
    done = subprocess.run(
        command, cwd=where, env=ENV, capture_output=True, text=True, timeout=550, **options
    )
    assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def read(path: Path):
    return json.loads(path.read_text())


def tiny_clone(home: Path) -> Path:
    """A copy of the tracked files with a tiny demo set and a selection of two models."""
    files = call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)
    demo = home / "conf/data/demo.yaml"
    settings = yaml.safe_load(demo.read_text())
    settings["fetch"] |= TINY
    demo.write_text(yaml.safe_dump(settings))
    starter = (home / "conf/model/starter.yaml").read_text()
    starter = starter.replace("  - resnet50\n", "")
    (home / "conf/model/starter.yaml").write_text(starter)
    config = home / "conf/config.yaml"
    config.write_text(
        config.read_text()
        .replace("headline: resnet50", "headline: simplenet")
        .replace("  epochs: null", "  epochs: 1")
    )
    call(home, "git", "init", "-q")
    call(home, sys.executable, "-m", "pipeline.compose")
    commit(home)
    return home


def commit(home: Path) -> None:
    call(home, "git", "add", "-A")
    call(home, "git", "commit", "-q", "-m", "state")
