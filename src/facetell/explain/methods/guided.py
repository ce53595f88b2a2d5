# SPDX-License-Identifier: Apache-2.0
"""Guided backpropagation, and its product with Grad-CAM.

Both barely depend on the weights (Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018):
they are here because reports show them, and a figure of them should say so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.explain.layers import ACTIVATIONS
from facetell.explain.maps import GUIDED_EQUALS_GRADIENT, INPUT
from facetell.explain.registry import METHODS, Task, register
from facetell.explain.shared_pass import Pass

SOURCE = "Springenberg et al., Striving for Simplicity: The All Convolutional Net, 2014"
RECTIFIERS = ("ReLU", "ReLU6")  # the rule was made for these
CAVEAT = (
    "Guided backpropagation and guided Grad-CAM fail the weight-randomisation check (Adebayo et "
    "al. 2018): they draw nearly the same edges for a network with random weights."
)


@register("guided backpropagation", kind="input", source=SOURCE, signed=False, caveat=CAVEAT)
def guided_backprop(task: Task) -> torch.Tensor:
    """Largest |guided gradient| over the colours.

    At every activation a gradient passes where it and the activation's input are above 0, times
    the activation's slope, which is 1 for a ReLU. SiLU, GELU and others are treated alike, and
    the title says so; without any, the map is the plain gradient, and the status says so.
    """
    map_, plain = _guided(task)
    task.say[INPUT] = plain
    return map_


@register(
    "guided Grad-CAM",
    kind="layer",
    source="Selvaraju et al., Grad-CAM, ICCV 2017",
    relu=True,
    caveat=CAVEAT,
)
def guided_gradcam(task: Task) -> Iterator[tuple[str, torch.Tensor]]:
    """Guided backpropagation times Grad-CAM of each layer, enlarged bilinearly to the image.

    The ReLU of Grad-CAM comes after the enlargement, so that it can be left out.
    """
    map_, plain = _guided(task)
    task.title = (task.title or "guided backpropagation").replace("backpropagation", "Grad-CAM")
    shared = Pass(task.subject, task.images, task.layers, [METHODS["gradcam"]])
    shared.run(task.sign)
    for layer in task.layers:
        cam = torch.from_numpy(shared.results["gradcam", layer].maps).to(map_)
        wide = nn.functional.interpolate(cam[:, None], map_.shape[1:], mode="bilinear")
        task.say[layer] = plain
        yield layer, map_ * wide[:, 0]


def _guided(task: Task) -> tuple[torch.Tensor, np.ndarray]:
    """Map (B, H, W), and per image what to say if it is the plain gradient."""
    with _rule(task) as changed:
        guided = task.gradient(task.images)
    others = sorted(changed - set(RECTIFIERS))
    if others:
        task.title = f"guided backpropagation ({'/'.join(others)} rule)"
    same = (guided == task.gradient(task.images)).flatten(1).all(1).cpu().numpy()
    return guided.abs().amax(1), np.where(same, GUIDED_EQUALS_GRADIENT, "")


@contextmanager
def _rule(task: Task) -> Iterator[set[str]]:
    """Inside, activations obey the rule; yields the names of their classes as they run."""
    changed: set[str] = set()
    handles = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> Any:
        values, *rest = args
        if not values.requires_grad:
            return None
        changed.add(type(module).__name__)
        passed, positive = values.clone(), values.detach() > 0
        passed.register_hook(lambda gradient: gradient * positive)
        return (passed, *rest)

    def after(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> Any:
        if not output.requires_grad:
            return None
        passed = output.clone()
        passed.register_hook(lambda gradient: gradient.clamp(min=0))
        return passed

    try:
        for module in task.subject.model.modules():
            if type(module).__name__ in ACTIVATIONS:
                handles.append(module.register_forward_pre_hook(before))
                handles.append(module.register_forward_hook(after))
        yield changed
    finally:
        for handle in handles:
            handle.remove()
