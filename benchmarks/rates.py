# SPDX-License-Identifier: Apache-2.0
"""Images/s of each network in training and in scoring, and the memory that training takes.

Run: python -m benchmarks.rates [--models rcnn swin] [--size 224] [--batch 32] [--precision auto]
Networks, optimisers and precision are those of the paper recipes; sizes and batches are the same
for all. Images lie ready in memory as the loader would give them (uint8, on the processor), so that
this is what a device can do, and `benchmarks.training` says what reading and decoding leave of it.
An update is forward, backward, clipping and the optimiser's step. The rate is the median of three
rounds of --seconds each, after a warm-up; the memory is the most that any of this took, and the
warm-up, in which cuDNN tries its algorithms, counts. Scoring is in batches of 64, in float32 (as
the predict stage scores) and in the precision of training.
"""

import argparse
import dataclasses
import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from facetell.common import machine
from facetell.common.files import write_json
from facetell.images.loading import to_unit
from facetell.models import build
from facetell.models.detector import Detector
from facetell.models.factory import parameter_count
from facetell.models.inference import BATCH, evaluating, margin_of
from facetell.training.cost import machine_name, multiply_adds
from facetell.training.precision import autocast_dtype
from facetell.training.recipe import Recipe
from facetell.training.updater import Updater
from pipeline import train as stage
from pipeline.settings import Settings

# each network once: the _aug models differ in the images alone
MODELS = (
    "rcnn", "sepnet", "vit", "swin", "simplenet", "xception", "vgg19", "resnet50", "densenet121",
    "mnasnet", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "mobilenetv2",
)  # fmt: skip
# of the UIUC report's Table 2, with 100,000 training images
PUBLISHED = {"rcnn": 85, "sepnet": 154, "swin": 143}
WARM_UP, ROUNDS = 5, 3
DIFFERENT = 4  # batches that take turns, so that none stays in a cache
COLUMNS = (
    "network", "parameters", "multiply-adds (10^9)", "training (images/s)", "precision",
    "GPU memory (GiB)", "scoring, float32", "scoring, as trained", "UIUC report",
)  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def chosen(model: str, size: int, batch: int, precision: str | None) -> tuple[str, Recipe]:
    """The network of a model of conf/ and its paper recipe, at this size and batch."""
    folder = str(Path("conf").resolve())
    with initialize_config_dir(folder, version_base=None):
        config = compose("config", [f"model={model}", "data=demo", "data.recipe=paper"])
    settings = Settings.of(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    recipe = dataclasses.replace(
        stage.recipe(settings, model), image_size=size, batch_size=batch, pretrained=False
    )
    if precision is not None:
        recipe = dataclasses.replace(recipe, precision=precision)
    return settings.network(model), recipe


def detector_of(network: str, recipe: Recipe, device: torch.device) -> Detector:
    """Random weights, drawn on the device: for RCNN's 1.27 billion a processor takes its time."""
    with device:
        model = build(
            network, width=recipe.width, image_size=recipe.image_size, **dict(recipe.options)
        )
    images = recipe.preprocessing(network)
    detector = Detector(model, images.mean, images.std).to(device)
    return detector.to(memory_format=machine.memory_format(device))


def batches(count: int, size: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Random pixels, uint8 (count, 3, size, size), in turns for ever."""
    made = [
        torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8) for _ in range(DIFFERENT)
    ]
    return itertools.cycle(
        [one.pin_memory() if machine.pins_memory(device) else one for one in made]
    )


def rate(step: Callable[[], None], images: int, device: torch.device, seconds: float) -> float:
    """Images/s of a step that takes so many ``images``."""
    for _ in range(WARM_UP):
        step()
    once = _timed(step, 1, device)
    steps = max(1, round(seconds / once))
    return statistics.median(images * steps / _timed(step, steps, device) for _ in range(ROUNDS))


def _timed(step: Callable[[], None], steps: int, device: torch.device) -> float:
    machine.synchronise(device)
    started = time.perf_counter()
    for _ in range(steps):
        step()
    machine.synchronise(device)
    return time.perf_counter() - started


def training(
    detector: Detector, recipe: Recipe, dtype: torch.dtype, seconds: float
) -> dict[str, float | None]:
    """Images/s of updates, and the most memory (GiB) that they took on an accelerator."""
    device, count = detector.mean.device, recipe.batch_size
    if device.type != "cpu":
        torch.accelerator.reset_peak_memory_stats(device)
    updater = Updater(detector, recipe, steps=1000, dtype=dtype)
    updater.begin_epoch(0)
    pixels, labels = batches(count, recipe.image_size, device), torch.arange(count) % 2

    def step() -> None:
        updater.update(next(pixels), labels, count)

    with machine.repeatable(False, device):  # as the train stage runs
        found = rate(step, count, device, seconds)
    most = machine.peak_device_memory(device)
    return {"training": found, "gpu_memory_gib": None if most is None else most / 2**10}


def scoring(detector: Detector, size: int, dtype: torch.dtype, seconds: float) -> float:
    """Images/s of the detector's margins."""
    device = detector.mean.device
    pixels = batches(BATCH, size, device)

    def step() -> None:
        margin_of(detector, to_unit(next(pixels), device), dtype)

    with evaluating(detector), torch.inference_mode():
        return rate(step, BATCH, device, seconds)


def measured(model: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """All that is measured of one model; what did not fit into the memory is None."""
    torch.manual_seed(0)
    network, recipe = chosen(model, options.size, options.batch, options.precision)
    detector = detector_of(network, recipe, device)
    dtype = autocast_dtype(network, detector, recipe, device)
    found: dict[str, Any] = {
        "model": model,
        "parameters": parameter_count(detector),
        "multiply_adds": multiply_adds(detector, recipe.image_size),
        "image_size": recipe.image_size,
        "batch": recipe.batch_size,
        "precision": str(dtype).removeprefix("torch."),
        "training": None,
        "gpu_memory_gib": None,
    }
    try:
        found |= training(detector, recipe, dtype, options.seconds)
    except torch.OutOfMemoryError:
        detector.zero_grad(set_to_none=True)
    for name, format_ in (("scoring_float32", torch.float32), ("scoring", dtype)):
        found[name] = scoring(detector, recipe.image_size, format_, options.seconds)
    return found


def row(found: dict[str, Any]) -> str:
    """A row of the table."""

    def number(name: str, digits: int = 0) -> str:
        return "–" if found[name] is None else f"{found[name]:,.{digits}f}"

    return (
        f"| `{found['model']}` | {found['parameters']:,} | {found['multiply_adds'] / 1e9:.2f} "
        f"| {number('training')} | {found['precision']} | {number('gpu_memory_gib', 1)} "
        f"| {number('scoring_float32')} | {number('scoring')} "
        f"| {PUBLISHED.get(found['model'], '–')} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", help="as the recipes say if not said")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path, help="a file for the numbers, written after each row")
    options = parser.parse_args()
    device = machine.device()
    print(
        f"{machine_name(device)}, torch {torch.__version__}, batches of {options.batch} images of "
        f"{options.size} px\n\n{HEAD}",
        flush=True,
    )
    rows = []
    for model in options.models:
        rows.append(measured(model, options, device))
        print(row(rows[-1]), flush=True)
        if options.json:
            machine_ = {"device": machine_name(device), "torch": torch.__version__}
            write_json(options.json, machine_ | {"rows": rows})
        gc.collect()
        if device.type != "cpu":
            torch.accelerator.empty_cache()


if __name__ == "__main__":
    main()
