"""explain: where one detector looks, as figures and as numbers."""

import math

import numpy as np
from scipy.special import logit

from facetell.detector import load
from facetell.explain.example import GROUPS, Example
from facetell.explain.survey import Survey, planted_scores, survey
from facetell.figures.class_means import Means, class_means
from facetell.figures.sheets import gradcam_pairs, saliency_pairs
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
    drawn = drawable(found, card.threshold)
    folder = f"plots/explain/{model}"
    title = f"{model} on the test images of {settings['data']['name']}"
    limit = 1 / (1 + math.exp(-card.threshold))
    verdict = f"{title}\nverdict: fake from P(fake) = {limit:.2f} on"
    save(
        saliency_pairs(drawn, f"Saliency: {verdict}"),
        f"{folder}/saliency.png",
    )
    save(
        gradcam_pairs(drawn, "gradcam", found.layer, f"Grad-CAM at {found.layer}: {verdict}"),
        f"{folder}/gradcam.png",
    )
    save(
        class_means(
            [
                Means(
                    "saliency",
                    found.means["real"],
                    found.means["fake"],
                    found.counts["real"],
                    found.counts["fake"],
                )
            ],
            f"Mean saliency: {title}",
        ),
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


def drawable(found: Survey, threshold: float) -> list[Example]:
    """The survey's examples as figures take them."""
    labels = {group: label for (label, _), group in GROUPS.items()}
    return [
        Example(
            name=example.group,
            image=example.image,
            label=labels[example.group],
            margin=float(logit(np.clip(example.score, 1e-12, 1 - 1e-12))),
            threshold=threshold,
            saliency=example.saliency,
            maps={"gradcam": {found.layer: example.cam}},
            status={"gradcam": {found.layer: "ok"}},
            titles={"gradcam": "Grad-CAM"},
            mask=example.mask,
        )
        for example in found.examples
    ]


if __name__ == "__main__":
    run(main)
