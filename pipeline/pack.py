"""pack: one memory-mapped file of encoded images per split."""

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from facetell.common.labels import SPLITS
from facetell.images.archive import open_archive
from facetell.images.packing import NEEDED, pack
from facetell.images.reencoding import Treatment
from pipeline.stage import params, run


def main() -> None:
    data = params()["data"]
    harmonise = Treatment(harmonise=data["harmonise"], **data["harmonised"])
    manifest = pd.read_parquet("data/manifest.parquet", columns=["split", *NEEDED])
    with ExitStack() as stack:
        archives = {
            name: stack.enter_context(open_archive(Path(f"data/raw/{data['name']}/{name}")))
            for name in data["sets"]
        }
        for split in SPLITS:
            part = manifest[manifest["split"] == split]
            pack(part, archives, Path(f"data/packed/{split}.arrow"), harmonise)


if __name__ == "__main__":
    run(main)
