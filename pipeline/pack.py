# SPDX-License-Identifier: Apache-2.0
"""pack: one memory-mapped file of encoded images per split."""

from contextlib import ExitStack

import pandas as pd

from facetell.common.labels import SPLITS
from facetell.common.progress import estimating
from facetell.images.archive import open_archive
from facetell.images.packing import NEEDED, pack
from facetell.images.reencoding import Treatment
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run


def main() -> None:
    data = Settings.load().data
    harmonise = Treatment(harmonise=data.harmonise, **dict(data.harmonised))
    manifest = pd.read_parquet(paths.MANIFEST, columns=["split", *NEEDED])
    used = manifest[manifest["split"].isin(SPLITS)]
    with estimating(f"pack: {len(used):,} images", len(used)), ExitStack() as stack:
        archives = {
            name: stack.enter_context(open_archive(paths.raw(data.name) / name))
            for name in data.sets
        }
        for split, path in paths.PACKED.items():
            pack(used[used["split"] == split], archives, path, harmonise)


if __name__ == "__main__":
    run(main)
