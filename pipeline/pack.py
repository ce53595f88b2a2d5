# SPDX-License-Identifier: Apache-2.0
"""pack: memory-mapped files of encoded images, some for each split."""

from joblib import cpu_count

from facetell.common.labels import SPLITS
from facetell.common.progress import estimating
from facetell.dataset.stored import chunks, count
from facetell.images.packing import NEEDED, pack
from facetell.images.reencoding import Treatment
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

MIB = 2**20


def main() -> None:
    data = Settings.load().data
    harmonise = Treatment(harmonise=data.harmonise, **dict(data.harmonised))
    files = {name: paths.raw(data.name) / name for name in data.sets}
    images = count(paths.MANIFEST)
    with estimating(f"pack: {images:,} images", images):
        for split in SPLITS:
            pack(
                chunks(paths.MANIFEST, NEEDED, split),
                files,
                paths.PACKED[split],
                harmonise,
                largest=data.shard_mb * MIB,
                workers=cpu_count(),
            )


if __name__ == "__main__":
    run(main)
