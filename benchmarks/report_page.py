# SPDX-License-Identifier: Apache-2.0
"""How large the report is, and how long it takes, with so many models: those of this checkout are
copied under other names into a folder of their own, in which the stage runs.

    python -m benchmarks.report_page [15]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

HOME = Path(__file__).resolve().parent.parent
OF_MODEL = ("metrics/models/{}.json", "metrics/explain/{}.json", "data/predictions/{}.parquet",
            "data/maps/{}.parquet", "plots/explain/{}")  # fmt: skip


def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace(Path(folder), number)
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "pipeline.report"], cwd=folder, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HOME / "src"), str(HOME)])},
        )  # fmt: skip
        seconds, work = time.monotonic() - begun, os.times()
        size = (Path(folder) / "plots/report/index.html").stat().st_size
    busy = work.children_user + work.children_system
    print(f"{number} models: {size / 1e6:.1f} MB, {seconds:.0f} s, of the processor {busy:.0f} s")


def workspace(home: Path, number: int) -> None:
    """A copy of what the stage reads, with ``number`` models."""
    for name in ("metrics", "plots"):
        shutil.copytree(HOME / name, home / name)
    shutil.copy(HOME / "dvc.yaml", home)
    for name in ("data/manifest", "data/packed/test", "data/predictions", "data/maps"):
        shutil.copytree(HOME / name, home / name)
    settings = yaml.safe_load((HOME / "params.yaml").read_text(encoding="utf-8"))
    given = list(settings["models"])
    names = {f"{given[place % len(given)]}_{place}": given[place % len(given)]
             for place in range(number)}  # fmt: skip
    for copy, original in names.items():
        for pattern in OF_MODEL:
            source, target = home / pattern.format(original), home / pattern.format(copy)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
    settings["models"] = {copy: settings["models"][original] for copy, original in names.items()}
    text = yaml.safe_dump(settings, sort_keys=False)
    (home / "params.yaml").write_text(text, encoding="utf-8", newline="\n")
    for path in (home / "plots").glob("*.csv"):
        table = pd.read_csv(path)
        rows = [table[table["model"] == original].assign(model=copy)
                for copy, original in names.items()]  # fmt: skip
        pd.concat(rows).to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    pairs = pd.read_csv(home / "metrics/tables/pairs.csv")
    some = pairs.replace(dict(zip(given, list(names)[: len(given)], strict=False)))
    some.to_csv(
        home / "metrics/tables/pairs.csv", index=False, lineterminator="\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
