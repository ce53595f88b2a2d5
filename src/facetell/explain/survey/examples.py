# SPDX-License-Identifier: Apache-2.0
"""One image with all that was made of it: what figures of explanations are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.special import expit

from facetell.evaluation.perturbations.degradation import blur
from facetell.explain.engine import defined_methods, explain
from facetell.explain.maps import Explanation
from facetell.explain.test_set import TestSet

CAM = "gradcam"  # what stands for class activation maps where one is shown
BLURS = (1, 2)  # px: the UIUC report's
GROUPS = {  # (label, verdict) to the name of the group in figures
    (1, 1): "fake, found",
    (1, 0): "fake, missed",
    (0, 0): "real, passed",
    (0, 1): "real, accused",
}


@dataclass(frozen=True)
class Example:
    """An image, its verdict and its maps.

    ``image`` RGB uint8 (S, S, 3); ``margin`` and ``threshold`` margins (fake logit - real logit);
    ``label`` 1 = fake, 0 = real, None = unknown; ``saliency`` (S, S) >= 0; ``maps[method][layer]``
    (h, w) raw and signed, with ``status[method][layer]``, "ok" or why the map is not to be
    believed; ``titles`` name the methods in words; ``mask`` bool (S, S), where artefacts were
    planted, if it is known; ``name`` says which image, or what was done to it.
    """

    name: str
    image: np.ndarray
    label: int | None
    margin: float
    threshold: float
    saliency: np.ndarray
    maps: dict[str, dict[str, np.ndarray]]
    status: dict[str, dict[str, str]]
    titles: dict[str, str] = field(default_factory=dict)
    mask: np.ndarray | None = None

    @property
    def score(self) -> float:
        """P(fake) in [0, 1]."""
        return float(expit(self.margin))

    @property
    def verdict(self) -> str:
        """``fake`` at or above the threshold, else ``real``."""
        return "fake" if self.margin >= self.threshold else "real"

    @property
    def group(self) -> str:
        """Label and verdict in words, such as "fake, missed"; the verdict alone of no label."""
        if self.label is None:
            return self.verdict
        return GROUPS[self.label, int(self.verdict == "fake")]


def examples(
    explanation: Explanation,
    pixels: np.ndarray,
    names: Sequence[str],
    threshold: float,
    *,
    labels: Sequence[int] | None = None,
    masks: Sequence[np.ndarray | None] | None = None,
) -> list[Example]:
    """One ``Example`` for each image of a batch; ``pixels`` uint8 (B, S, S, 3)."""
    maps, status = explanation.maps, explanation.status
    return [
        Example(
            name=names[row],
            image=pixels[row],
            label=None if labels is None else int(labels[row]),
            margin=float(explanation.margin[row]),
            threshold=threshold,
            saliency=explanation.saliency[row],
            maps={m: {at: values[row] for at, values in by.items()} for m, by in maps.items()},
            status={m: {at: str(said[row]) for at, said in by.items()} for m, by in status.items()},
            titles=explanation.titles,
            mask=None if masks is None else masks[row],
        )
        for row in range(len(explanation))
    ]


def blurred_copies(tested: TestSet, example: Example) -> list[Example]:
    """A test image as it is and more and more blurred, each with Grad-CAM at every layer."""
    row = tested.row(example.name)
    clean = tested.batch([row])
    stack = torch.cat([clean, *(blur(clean, [example.name], sigma=sigma) for sigma in BLURS)])
    pixels = (stack.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return examples(
        explain(tested.detector, stack, methods=(CAM,), seed=tested.seed),
        pixels,
        ["clean", *(f"blur {sigma} px" for sigma in BLURS)],
        tested.threshold,
        labels=None if example.label is None else [example.label] * len(stack),
        masks=[example.mask] * len(stack),
    )


def by_methods(tested: TestSet, example: Example, methods: Sequence[str], layer: str) -> Example:
    """A test image by every one of the methods that is defined at the layer."""
    row = tested.row(example.name)
    clean = tested.batch([row])
    reasons = defined_methods(tested.detector, clean, layer)
    here = [name for name in methods if not reasons[name]]
    (alone,) = examples(
        explain(tested.detector, clean, methods=here, layers=layer, seed=tested.seed),
        example.image[None],
        [example.name],
        tested.threshold,
        labels=None if example.label is None else [example.label],
        masks=[example.mask],
    )
    return alone
