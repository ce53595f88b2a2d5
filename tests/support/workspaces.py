# SPDX-License-Identifier: Apache-2.0
"""A folder in which single stages run, on packed images that are there already."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from facetell.common.labels import SPLITS
from support import ROOT
from support.clones import ENV

# one thread each: the last bits of sums depend on the number of threads
ENVIRONMENT = ENV | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def workspace(home: Path, packed: Path, **changes: Any) -> Path:
    """The images of the folder ``packed`` and the committed parameters, with changes of them by
    section."""
    (home / "metrics").mkdir(parents=True)
    shutil.copytree(packed / "manifest", home / "data/manifest")
    for split in SPLITS:
        shutil.copytree(packed / split, home / "data/packed" / split)
    (home / "metrics/set_aside.csv").write_text("set,path,reason\n")
    (home / "metrics/leaks.csv").write_text("kind,split,id,other_split,other_id,detail\n")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["data"]["sets"] = {"folder": settings["data"]["sets"]["demo"]}
    return changed(home, settings, **changes)


def changed(home: Path, settings: dict | None = None, **changes: Any) -> Path:
    """Write the parameters of a workspace anew, with changes by section."""
    path = home / "params.yaml"
    found = settings or yaml.safe_load(path.read_text())
    for name, value in changes.items():
        found[name] = found[name] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
    return home


def stage(name: str, *arguments: str) -> list[str]:
    """The command of a stage."""
    return [sys.executable, "-m", f"pipeline.{name}", *arguments]
