# SPDX-License-Identifier: Apache-2.0
"""A copy of the working tree in which stages run as they do under dvc, without touching yours."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

NEEDED = ("conf", "pipeline", "src", ".dvc")


def workspace(home: Path) -> Path:
    """Copy what the stages need of the working tree to a folder, as it stands now."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, text=True).splitlines():
        if Path(name).is_file() and name.split("/")[0] in NEEDED:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, home / name)
    return home


def stage(home: Path, name: str, *arguments: str) -> float:
    """Run one stage; the seconds it took, its start included. If it fails, its words are shown."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{name}", *arguments],
        cwd=home, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join((name, *arguments))}: {done.stderr.strip()}")
    return time.perf_counter() - started


def packed(home: Path) -> Path:
    """Get, split and pack the images of params.yaml, unless that is done already."""
    if not (home / "data/packed/test").exists():
        for name in ("fetch", "split", "pack"):
            stage(home, name)
    return home
