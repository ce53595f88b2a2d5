"""explain: where one detector looks, as figures and as numbers."""

import math

from facetell.detector import load
from facetell.explain.survey import planted_scores, survey
from facetell.figures import maps as draw
from facetell.figures.style import save
from facetell.files import write_json
from facetell.loading import Images
from facetell.machine import device
from facetell.packed import Packed
from pipeline.stage import params, run


def main(model: str) -> None:
    settings = params()
    detector, card = load(f"models/{model}.safetensors")
    place = device()
    detector.to(place)
    images = Images(Packed("data/packed/test.arrow"), card.image_size)
    found = survey(
        detector, images, card.threshold, per_group=settings["explain"]["per_group"], device=place
    )
    folder = f"plots/explain/{model}"
    title = f"{model} on the test images of {settings['data']['name']}"
    limit = 1 / (1 + math.exp(-card.threshold))
    verdict = f"{title}\nverdict: fake from P(fake) = {limit:.2f} on"
    save(
        draw.saliency_pairs(found.examples, f"Saliency: {verdict}"),
        f"{folder}/saliency.png",
    )
    save(
        draw.gradcam_pairs(found.examples, f"Grad-CAM at {found.layer}: {verdict}"),
        f"{folder}/gradcam.png",
    )
    save(
        draw.class_means(found.means, found.counts, f"Mean saliency: {title}"),
        f"{folder}/class_means.png",
    )
    write_json(
        f"metrics/explain/{model}.json",
        {
            "model": model,
            "layer": found.layer,
            "images": found.counts,
            "share_in_planted_masks": planted_scores(found.planted),
        },
    )


if __name__ == "__main__":
    run(main)
