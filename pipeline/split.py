"""split: look at every image, give each a split, and stop where a face is on two sides."""

import os
from pathlib import Path

import pandas as pd

from facetell.common.files import whole
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.leaks import gate
from facetell.images.archive import open_archive
from facetell.images.reencoding import Treatment
from pipeline.stage import params, run


def main() -> None:
    data = params()["data"]
    raw, split = Path(f"data/raw/{data['name']}"), dict(data["split"])
    mode = split.pop("leaks")
    tables = {}
    for name, settings in data["sets"].items():
        with open_archive(raw / name) as archive:
            tables[name] = rows(settings["layout"], archive)
    found = build(
        tables,
        raw,
        **split,
        drop=mode == "drop",
        train_on=data["train_on"],
        uses={name: settings["use"] for name, settings in data["sets"].items()},
        launder=data["launder"],
        harmonise=Treatment(harmonise=data["harmonise"], **data["harmonised"]),
        workers=os.cpu_count() or 1,
    )
    # listed before the gate: whoever is stopped there wants to see them
    write_csv("metrics/leaks.csv", found.leaks)
    write_csv("metrics/set_aside.csv", found.aside)
    gate(found.leaks, mode, "metrics/leaks.csv")
    with whole("data/manifest.parquet") as path:
        found.manifest.to_parquet(path, index=False)


def write_csv(path: str, table: pd.DataFrame) -> None:
    with whole(path) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
