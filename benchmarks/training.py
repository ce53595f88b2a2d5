# SPDX-License-Identifier: Apache-2.0
"""Training speed against a plain PyTorch script, and what the loader can deliver.

Run: python -m benchmarks.training [--models resnet50] [--size 224] [--images 256]
The plain script is what a tutorial has: ImageFolder, float32, the default memory layout, AdamW,
and the augmentation of the recipe.
Both train in turns in one process, each for --rounds epochs after one to warm up; the fastest
epoch of each counts. Models are taken from conf/ with the quick recipe's width and options.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.images import make
from facetell.common.machine import device
from facetell.images.loading import TrainingImages, to_unit, training_batches, training_order
from facetell.images.packed import Packed
from facetell.models import build
from facetell.training.augmentations import augmentation
from facetell.training.job import Engine, Job
from facetell.training.recipe import Recipe
from facetell.training.trainer import Trainer
from pipeline import train as stage
from pipeline.settings import Settings


def plain(network: str, recipe: Recipe, home: Path) -> Iterator[float]:
    """Epochs of a tutorial's script; yields the images/s of each."""
    size = recipe.image_size
    augment = augmentation(recipe.augment, size)
    steps = [
        transforms.Resize((size, size)),
        *([augment] if augment else []),  # of images of Pillow here
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
    data = ImageFolder(str(home / "folder"), transforms.Compose(steps))
    loader = DataLoader(data, batch_size=recipe.batch_size, shuffle=True)
    model = build(network, width=recipe.width, image_size=size, **recipe.options).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr)
    criterion = nn.CrossEntropyLoss()
    while True:
        started = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
        yield len(data) / (time.perf_counter() - started)


def ours(network: str, recipe: Recipe, home: Path) -> Iterator[tuple[float, str]]:
    """Epochs of facetell's training, without validation as above; images/s and precision."""
    sets = {split: Packed(home / split) for split in ("train", "valid")}
    job = Job(
        network=network, recipe=recipe, train_set=sets["train"], valid_set=sets["valid"], seed=0
    )
    trainer = Trainer(job, Engine(device=device()))
    while True:
        started = time.perf_counter()
        trainer.train_one_epoch()
        trainer.history.epoch += 1
        yield len(sets["train"]) / (time.perf_counter() - started), str(trainer.dtype)


def loader_rate(recipe: Recipe, home: Path) -> float:
    """Images/s of the loader alone, up to the network's input."""
    images = TrainingImages(Packed(home / "train"), recipe.image_size, augment=None, seed=0)
    best = 0.0
    for _ in range(3):
        started = time.perf_counter()
        for _, pixels, _ in training_batches(images, training_order(images, recipe.batch_size)):
            to_unit(pixels, torch.device("cpu"))
        best = max(best, len(images) / (time.perf_counter() - started))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["resnet50"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        config = compose("config", ["model=all", "data=demo", f"data.image_size={options.size}"])
    settings = Settings.of(OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]
    models = list(settings.models) if options.models == ["all"] else options.models
    fastest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make(home, options.images, 256 if options.size > 128 else options.size)
        for model in models:
            recipe = dataclasses.replace(stage.recipe(settings, model), epochs=100)
            network = settings.network(model)
            torch.manual_seed(0)
            one, other = plain(network, recipe, home), ours(network, recipe, home)
            rates = [(next(one), next(other)) for _ in range(options.rounds + 1)][1:]
            plainly, best = max(a for a, _ in rates), max(rate for _, (rate, _) in rates)
            fastest = max(fastest, best)
            precision = rates[0][1][1].removeprefix("torch.")
            print(
                f"{model:16} {options.size} px: plain {plainly:7.1f} images/s, facetell "
                f"{best:7.1f} ({precision}), ratio {best / plainly:.2f}",
                flush=True,
            )
        loader = loader_rate(recipe, home)
        print(f"loader alone: {loader:.0f} images/s, {loader / fastest:.1f} x the fastest model")


if __name__ == "__main__":
    main()
