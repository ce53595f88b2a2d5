# SPDX-License-Identifier: Apache-2.0
"""predict: margins of one detector on validation images and their twins without artefacts, and on
test images in every variant."""

import pandas as pd

from facetell.common import machine
from facetell.common.distributed import current, launch
from facetell.common.progress import estimating
from facetell.evaluation.perturbations import suite
from facetell.evaluation.predictions import table, write
from facetell.evaluation.variant_margins import variant_margins
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.models.detector import Detector
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run


def main(model: str) -> None:
    launch(predict, Settings.load().processes, model)


def predict(model: str) -> None:
    """What every process does; the first one writes."""
    settings, world = Settings.load(), current()
    workers = settings.predict.workers
    variants = suite(settings.predict.suites, settings.data.suite)
    device = machine.device()
    detector = Detector.load(paths.weights(model)).to(device)
    card = detector.card
    valid, test = (Images(Packed(paths.PACKED[s]), card.image_size) for s in ("valid", "test"))
    on_valid = variant_margins(detector, valid, {}, device, workers=workers, world=world)
    what = f"predict {model}: {1 + len(variants)} versions of {len(test):,} images"
    with estimating(what, len(test)):
        on_test = variant_margins(detector, test, variants, device, workers=workers, world=world)
    if not world.first:
        return
    predictions = pd.concat(
        [
            table(split, images.packed.ids, images.packed.labels, scores)
            for split, images, scores in (("valid", valid, on_valid), ("test", test, on_test))
        ]
    )
    write(
        paths.predictions(model),
        predictions,
        threshold=card.threshold,
        variants={name: variant.metadata for name, variant in variants.items()},
    )


if __name__ == "__main__":
    run(main)
