# SPDX-License-Identifier: Apache-2.0
"""Every figure of one explained detector, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from scipy.special import expit

from facetell.explain.activation.channels import top_channels
from facetell.explain.activation.maximise import Ascent, Channel, Target, maximise
from facetell.explain.layers import spread_layers
from facetell.explain.registry import METHODS
from facetell.explain.survey.examples import CAM, Example, blurred_copies, by_methods
from facetell.explain.survey.survey import Survey
from facetell.explain.test_set import TestSet
from facetell.report.figures.activations import activations, maximised
from facetell.report.figures.class_means import Means, class_means
from facetell.report.figures.layers import every_layer
from facetell.report.figures.regions import regions
from facetell.report.figures.sheets import gradcam_pairs, methods_side_by_side, saliency_pairs

Named = Iterator[tuple[str, Figure]]


@dataclass(frozen=True)
class Shown:
    """What is drawn of a detector.

    model, data : names, for titles.
    methods : that are set side by side.
    layers, channels : of the activation maps, at most.
    steps : of activation maximisation.
    """

    model: str
    data: str
    methods: Sequence[str]
    layers: int
    channels: int
    steps: int

    @classmethod
    def of(
        cls, model: str, data: str, defined: Sequence[str], costly: bool, **activation: int
    ) -> "Shown":
        """From the methods that are defined for the model; those of many forward passes only if
        ``costly``. ``activation`` are layers, channels and steps."""
        methods = [name for name in defined if costly or not METHODS[name].costly]
        return cls(model, data, methods, **activation)

    @property
    def about(self) -> str:
        """The part of a title that says whose maps these are."""
        return f"{self.model} on the test images of {self.data}"


def figures(tested: TestSet, seen: Survey, shown: Shown) -> Named:
    """Names and figures, each made when it is asked for: none is kept while the next is drawn.

    The processes of ``tested.world`` share them, and each gets all.
    """

    def make(name: str) -> Figure:
        figure = plan[name]()
        plt.close(figure)  # it is drawn where it is written
        return figure

    plan = _plan(tested, seen, shown)
    yield from zip(plan, tested.world.dealt(make, list(plan)), strict=True)


def _plan(tested: TestSet, seen: Survey, shown: Shown) -> dict[str, Callable[[], Figure]]:
    """How each figure is made, by name."""
    verdict = f"verdict: fake from P(fake) = {expit(tested.threshold):.2f} on"
    about = f"{shown.about}\n{verdict}"
    plan: dict[str, Callable[[], Figure]] = {
        "saliency": lambda: saliency_pairs(seen.examples, f"Saliency: {about}"),
        "gradcam": lambda: gradcam_pairs(
            seen.examples, CAM, seen.layer, f"Grad-CAM at {seen.layer}: {about}"
        ),
    }
    if seen.means:
        plan["class_means"] = lambda: class_means(_means(seen), f"Class means: {shown.about}")
    if (found := seen.regions) is not None:
        plan["regions"] = lambda: regions(found.table(), f"Where {shown.about} looks")
    for class_, example in seen.first_of_each_class().items():
        title = f"Grad-CAM at every layer: {about}"
        plan[f"layers_{class_}"] = partial(_every_layer, tested, example, title)
    if seen.examples:
        plan["methods"] = lambda: _methods(tested, seen, shown, f"Methods at {seen.layer}: {about}")
        plan["maximised"] = lambda: _maximised(tested, seen, shown)
        plan["activations"] = lambda: _activations(tested, seen, shown)
    return plan


def _means(seen: Survey) -> list[Means]:
    """What the figure of class means shows."""
    titles = {"saliency": "saliency", CAM: f"Grad-CAM at {seen.layer}"}
    return [Means.of(titles[name], own, signed=name == CAM) for name, own in seen.means.items()]


def _every_layer(tested: TestSet, example: Example, title: str) -> Figure:
    return every_layer(blurred_copies(tested, example), CAM, title, one_scale=False)


def _methods(tested: TestSet, seen: Survey, shown: Shown, title: str) -> Figure:
    one = by_methods(tested, seen.examples[0], shown.methods, seen.layer)
    return methods_side_by_side([one], seen.layer, title)


def _image(tested: TestSet, example: Example) -> torch.Tensor:
    return tested.batch([tested.row(example.name)])


def _activations(tested: TestSet, seen: Survey, shown: Shown) -> Figure:
    """Channels of one fake and one real image."""
    detector, pairs = tested.detector, []
    for example in seen.first_of_each_class().values():
        image = _image(tested, example)
        names = spread_layers(detector, image, shown.layers)
        pairs.append((example, [top_channels(detector, image, n, shown.channels) for n in names]))
    return activations(pairs, f"Most active channels: {shown.about}")


def _maximised(tested: TestSet, seen: Survey, shown: Shown) -> Figure:
    """What raises logits and channels most.

    Of the layer that the network recommends, the channels are maximised that are most active in
    the first image.
    """
    detector, first = tested.detector, next(iter(seen.first_of_each_class().values()))
    top = top_channels(detector, _image(tested, first), "default", shown.channels)
    targets: dict[str, Target] = {"fake": "fake", "real": "real"}
    targets |= {
        f"channel {index} of {top.layer}": Channel(top.layer, index)
        for index in top.indices[0].tolist()
    }
    ascent = Ascent(steps=shown.steps)
    found = maximise(
        detector, tested.images.size, list(targets.values()), ascent=ascent, seed=tested.seed
    )
    title = f"What {shown.model} responds to most"
    return maximised(found, targets, ascent, tested.seed, title)
