"""Single images explained for a figure: blurred more and more, and by every method."""

import torch

from facetell.evaluation.perturbations.degradation import blur
from facetell.explain.engine import defined_methods, explain
from facetell.explain.survey.examples import Example, examples
from facetell.explain.survey.survey import CAM, batch_of, planted_mask
from facetell.images.loading import Images
from facetell.models.detector import Card, Detector

BLURS = (1, 2)  # px: the UIUC report's


def states(detector: Detector, images: Images, card: Card, example: Example) -> list[Example]:
    """An image as it is and blurred, each with Grad-CAM at every layer."""
    row = images.packed.ids.index(example.name)
    clean = batch_of(images, [row], next(detector.parameters()).device)
    stack = torch.cat([clean, *(blur(clean, [example.name], sigma=s) for s in BLURS)])
    pixels = (stack.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
    labels = [example.label] * len(stack) if example.label is not None else None
    return examples(
        explain(detector, stack, methods=(CAM,)),
        pixels,
        ["clean", *(f"blur {sigma} px" for sigma in BLURS)],
        card.threshold,
        labels=labels,
        masks=[example.mask] * len(stack),
    )


def explained(
    detector: Detector,
    images: Images,
    card: Card,
    example: Example,
    methods: list[str],
    layer: str,
) -> Example:
    """One image by every method that is defined at the layer."""
    row = images.packed.ids.index(example.name)
    clean = batch_of(images, [row], next(detector.parameters()).device)
    here = {name for name, why in defined_methods(detector, clean, layer).items() if not why}
    found = explain(detector, clean, methods=[n for n in methods if n in here], layers=layer)
    (alone,) = examples(
        found,
        example.image[None],
        [example.name],
        card.threshold,
        labels=None if example.label is None else [example.label],
        masks=[planted_mask(images.packed.mask(row), images.size)],
    )
    return alone
