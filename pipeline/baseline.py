# SPDX-License-Identifier: Apache-2.0
"""baseline: fit the linear spectral classifier, which stands beside the networks in every table."""

from facetell.common.files import write_json
from facetell.common.machine import device
from facetell.common.progress import estimating
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.images.spectra import NETWORK
from facetell.models.detector import Card, save
from facetell.training.familiar import familiar
from facetell.training.spectral_baseline import LIMIT, fit
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

SIZE = 256  # px, where data.image_size leaves it to the models


def main() -> None:
    settings = Settings.load()
    size = settings.data.image_size or SIZE
    train, valid = (Images(Packed(paths.PACKED[s]), size) for s in ("train", "valid"))
    images = min(len(train), LIMIT) + 2 * len(valid)
    with estimating(f"baseline: spectra of {images:,} images", images):
        found = fit(train, valid, device(), seed=settings.train.seed)
    weights = paths.weights(NETWORK)
    card = Card(
        network=NETWORK,
        width=1.0,
        image_size=size,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        threshold=found.threshold,
        temperature=found.temperature,
        data=train.packed.fingerprint,
        familiar=familiar(valid.packed, size),
        frame=settings.data.frame,
    )
    save(found.detector, card, weights)
    cost = found.cost | {"disk_mib": round(weights.stat().st_size / 2**20, 3)}
    facts = {"recipe": found.recipe, "cost": cost, "validation": {"auc": found.valid_auc}}
    write_json(paths.training(NETWORK), facts)


if __name__ == "__main__":
    run(main)
