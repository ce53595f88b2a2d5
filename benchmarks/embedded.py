# SPDX-License-Identifier: Apache-2.0
"""What each model learns from the embedded set, and in what time: a table for docs/detectors.md.

Run: python -m benchmarks.embedded [--seeds 0] [--models swin vit] [--home FOLDER]
Each data seed gets a copy of the working tree in the folder, in which the stages fetch, split,
pack, train, predict and score run as they do under dvc. A model that is scored there already is
not trained again.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from facetell.common.files import read_json, write_json

HEAD = (
    "| data seed | model | AUC, all fakes | several artefacts | without artefacts (control) "
    "| training (s) | scoring (s) |\n|---|---|---|---|---|---|---|"
)


def prepared(home: Path, seed: int) -> Path:
    """A copy of the working tree with the packed set of this seed."""
    clone = home / f"seed-{seed}"
    copy_tree(clone)
    # one perturbation instead of 29: the columns need the images as they are, and their twins
    few = ["~predict.suites.quick", "+predict.suites.quick.flip={}"]
    stage(clone, "compose", "model=all", f"data.fetch.seed={seed}", *few)
    pack(clone)
    return clone


def copy_tree(clone: Path) -> None:
    """What the stages need of the working tree, into a folder."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, text=True).splitlines():
        if Path(name).is_file() and name.split("/")[0] in ("conf", "pipeline", "src", ".dvc"):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, clone / name)


def pack(clone: Path) -> None:
    """The packed set of a copy whose parameters are composed, unless it is there already."""
    if not (clone / "data/packed/test.arrow").exists():
        for name in ("fetch", "split", "pack"):
            stage(clone, name)


def stage(clone: Path, name: str, *arguments: str) -> float:
    """Run one stage; the seconds it took, its start included. If it fails, its words are shown."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{name}", *arguments],
        cwd=clone, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join((name, *arguments))}: {done.stderr.strip()}")
    return time.perf_counter() - started


def row(clone: Path, seed: int, model: str) -> str:
    """Train and score one model: a row of the table."""
    took = clone / f"seconds-{model}.json"
    if not took.exists():
        trained = stage(clone, "train", model)
        scored = stage(clone, "predict", model) + stage(clone, "score", model)
        write_json(took, [trained, scored])
    trained, scored = read_json(took)
    found = read_json(clone / f"metrics/models/{model}.json")
    aucs = [found["clean"], found["artefacts"]["several"], found["variants"]["without_artefacts"]]
    shown = " | ".join(f"{part['auc']:.3f}" for part in aucs)
    return f"| {seed} | `{model}` | {shown} | {trained:.0f} | {scored:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--models", nargs="+", help="all fifteen if not said")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        print(HEAD)
        for seed in options.seeds:
            clone = prepared(home, seed)
            selected = yaml.safe_load((clone / "params.yaml").read_text(encoding="utf-8"))["models"]
            for model in options.models or selected:
                print(row(clone, seed, model), flush=True)


if __name__ == "__main__":
    main()
