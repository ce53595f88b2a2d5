# SPDX-License-Identifier: Apache-2.0
"""Explanations of all layers: time against plain forward passes, captum and grad-cam.

Run: python -m benchmarks.explain [--models resnet50 efficientnet_b0] [--size 224] [--batch 4]
All are measured in turns in one process; the fastest round of each counts. captum explains layer
by layer, with its saliency; grad-cam is one object per layer. Both are asked for Grad-CAM at the
layers that facetell lists. The largest difference is relative to the largest value of a map.

Run: python -m benchmarks.explain --all [--images 358]
The time that all one-pass methods at all layers take for all 15 models, with the quick recipe's
sizes and random weights, on the packed test images if there are any here, else on noise.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam, Saliency
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_grad_cam import GradCAM
from torch import nn

from facetell.common.machine import device
from facetell.explain import METHODS, explain, layers
from facetell.images.loading import Images, scoring_batches, to_unit
from facetell.images.packed import Packed
from facetell.models import build
from facetell.models.detector import Detector
from pipeline import train as stage
from pipeline.settings import Settings

HALF = (0.5, 0.5, 0.5)
ONE_PASS = tuple(name for name, method in METHODS.items() if method.one_pass)
CHEAP = tuple(name for name in ONE_PASS if name != "eigencam")  # without a decomposition


class Margin(nn.Module):
    """(B, 1), as grad-cam wants its scores; with its scaling left out of the comparison."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.detector(images).diff(dim=1)


def first(output: torch.Tensor) -> torch.Tensor:
    return output[0]


def by_captum(detector: Detector, images: torch.Tensor, names: list[str]) -> dict[str, Any]:
    maps = {
        name: LayerGradCam(detector.margin, detector.network.get_submodule(name))
        .attribute(images)[:, 0]
        .detach()
        .numpy()
        for name in names
    }
    leaf = images.clone().requires_grad_()
    return maps | {"saliency": Saliency(detector.margin).attribute(leaf).amax(1).numpy()}


def by_gradcam(detector: Detector, images: torch.Tensor, names: list[str]) -> None:
    for name in names:
        with GradCAM(Margin(detector), [detector.network.get_submodule(name)]) as cam:
            cam(images, [first] * len(images))


def once(model: str, size: int, batch: int, rounds: int) -> None:
    """Print one model's ratios."""
    torch.manual_seed(0)
    detector = Detector(build(model, image_size=size), HALF, HALF).eval()
    images, names = torch.rand(batch, 3, size, size), layers(detector)
    found: dict[str, Any] = {}

    def forward() -> None:
        with torch.no_grad():
            detector(images)

    ways: dict[str, Callable[[], Any]] = {
        "forward": forward,
        "facetell": lambda: explain(detector, images),
        "facetell, all but EigenCAM": lambda: explain(detector, images, methods=CHEAP),
        "facetell, all one-pass": lambda: explain(detector, images, methods=ONE_PASS),
        "captum": lambda: found.update(by_captum(detector, images, names)),
        "grad-cam": lambda: by_gradcam(detector, images, names),
    }
    best = dict.fromkeys(ways, float("inf"))
    for number in range(rounds + 1):
        for way, run in ways.items():
            if number > 2 and way in ("captum", "grad-cam"):
                continue  # two rounds of what takes so long say enough
            started = time.perf_counter()
            run()
            if number:
                best[way] = min(best[way], time.perf_counter() - started)
    ours = explain(detector, images)
    pairs = [(ours.maps["gradcam"][name], found[name]) for name in names]
    pairs.append((ours.saliency, found["saliency"]))
    difference = max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)
    seconds, plain = best["facetell"], best["forward"]
    print(
        f"{model:16} {size} px, {len(names)} layers and saliency: {batch / seconds:.1f} images/s, "
        f"{seconds / plain:.2f} plain forwards ("
        f"{best['facetell, all but EigenCAM'] / plain:.2f} with {len(CHEAP)} methods, "
        f"{best['facetell, all one-pass'] / plain:.2f} with EigenCAM), "
        f"{best['captum'] / seconds:.1f} x captum, {best['grad-cam'] / seconds:.1f} x grad-cam; "
        f"largest difference to captum {difference:.1e}",
        flush=True,
    )


def every(size: int, number: int, batch: int) -> None:
    """Print the time of each of the 15 models, and the sum."""
    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        config = compose("config", ["model=all", "data=demo", f"data.image_size={size}"])
    settings = Settings.of(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    packed = Path("data/packed/test")
    if packed.exists():
        pixels = [b for _, b, _ in scoring_batches(Images(Packed(packed), size), batch)]
        images = torch.cat(pixels)[:number]
    else:
        images = torch.randint(0, 256, (number, 3, size, size), dtype=torch.uint8)
    total = 0.0
    for model in settings.models:
        torch.manual_seed(0)
        recipe = stage.recipe(settings, model)
        name = settings.network(model)
        network = build(name, width=recipe.width, image_size=size, **recipe.options)
        detector = Detector(network, HALF, HALF).eval().to(device())
        started, maps = time.perf_counter(), 0
        for part in images.split(batch):
            found = explain(detector, to_unit(part, device()), methods=ONE_PASS, batch_size=batch)
            maps += sum(len(one) for one in found.maps.values()) * len(part)
        seconds = time.perf_counter() - started
        total += seconds
        print(
            f"{model:16} {len(layers(detector)):2} layers: {seconds:5.1f} s, {maps} maps",
            flush=True,
        )
    print(f"{len(images)} images of {size} px, {len(ONE_PASS)} methods: {total / 60:.2f} minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["resnet50", "efficientnet_b0"])
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--images", type=int, default=358)
    parser.add_argument("--threads", type=int, help="of torch; 1 where others use the machine too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    if options.all:
        every(options.size or 64, options.images, options.batch or 32)
        return
    for model in options.models:
        once(model, options.size or 224, options.batch or 4, options.rounds)


if __name__ == "__main__":
    main()
