"""pack: one memory-mapped file of encoded images per split."""

from pathlib import Path

import pandas as pd

from facetell.archive import open_archive
from facetell.labels import SPLITS
from facetell.packing import pack
from pipeline.stage import params, run


def main() -> None:
    manifest = pd.read_parquet("data/manifest.parquet")
    with open_archive(f"data/raw/{params()['data']['name']}.zip") as archive:
        for split in SPLITS:
            part = manifest[manifest["split"] == split]
            pack(part, archive, Path(f"data/packed/{split}.arrow"))


if __name__ == "__main__":
    run(main)
