"""predict: margins of one detector on validation and test images, and on every test variant."""

import pandas as pd

from facetell.detector import load
from facetell.loading import Images
from facetell.machine import device
from facetell.packed import Packed
from facetell.perturbations import variants
from facetell.predictions import table, write
from facetell.scoring import margins
from facetell.variants import variant_margins
from pipeline.stage import params, run


def main(model: str) -> None:
    settings = params()["predict"]
    detector, card = load(f"models/{model}.safetensors")
    place = device()
    detector.to(place)
    valid = Images(Packed("data/packed/valid.arrow"), card.image_size)
    test = Images(Packed("data/packed/test.arrow"), card.image_size)
    on_valid = {"clean": margins(detector, valid, place, workers=settings["workers"])}
    on_test = variant_margins(
        detector, test, variants(settings["variants"]), place, workers=settings["workers"]
    )
    predictions = pd.concat(
        [
            table(split, images.packed.ids, images.packed.labels, scores)
            for split, images, scores in (("valid", valid, on_valid), ("test", test, on_test))
        ]
    )
    write(f"data/predictions/{model}.parquet", predictions, threshold=card.threshold)


if __name__ == "__main__":
    run(main)
