# SPDX-License-Identifier: Apache-2.0
"""Scoring a suite of perturbed test images, against the network alone and against a plain script.

Run: python -m benchmarks.variants [--suite full] [--images 32] [--model resnet50] [--size 224]
Ours scores clean and every variant; the network alone is timed on as many images that lie ready in
memory, in our batches and in batches of 64; both in turns in one process, and the fastest round of
each counts. The plain script is what a tutorial has, in a process of its own: a pass over the files
for each variant, with Pillow, torchvision's transforms (ours where it has none), the default memory
layout and batches of 64. Last, what each perturbation costs, in ms per image.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2 import functional as F

from benchmarks.images import make
from facetell.common import machine
from facetell.evaluation.perturbations import Variant, suite
from facetell.evaluation.variant_margins import BATCH, batch_size, variant_margins
from facetell.images.loading import Images, scoring_batches, to_unit
from facetell.images.packed import Packed
from facetell.models import build
from facetell.models.detector import Detector
from facetell.models.inference import margin_of

PLAIN_BATCH = 64
PLAIN: dict[str, Callable[..., torch.Tensor]] = {
    "grayscale": lambda x: F.rgb_to_grayscale(x, 3),
    "hue": lambda x, amount: torch.stack(
        [F.adjust_hue(one, float((2 * torch.rand(()) - 1) * amount)) for one in x]
    ),
    "hue_turn": lambda x, turn: F.adjust_hue(x, turn),
    "brightness": lambda x, factor: F.adjust_brightness(x, factor),
    "contrast": lambda x, factor: F.adjust_contrast(x, factor),
    "saturation": lambda x, factor: F.adjust_saturation(x, factor),
    "blur": lambda x, sigma: F.gaussian_blur(x, [max(17, 6 * sigma + 1)] * 2, [sigma] * 2),
    "jpeg": lambda x, quality: torch.stack(
        [F.jpeg((one * 255).round().to(torch.uint8), quality) / 255 for one in x]
    ),
    "resize": lambda x, share: F.resize(
        F.resize(x, [round(x.shape[-1] * share)] * 2), list(x.shape[-2:])
    ),
    "noise": lambda x, deviation: F.gaussian_noise(x, 0.0, deviation),
    "crop": lambda x, pixels: F.resize(F.center_crop(x, [pixels] * 2), list(x.shape[-2:])),
    "rotate": lambda x, degrees: F.rotate(x, degrees, transforms.InterpolationMode.BILINEAR),
    "flip": F.hflip,
}


def plain(home: Path, detector: torch.nn.Module, variants: dict[str, Variant], size: int) -> float:
    """Seconds of a tutorial's script for clean and every variant."""
    steps = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    data = ImageFolder(str(home / "folder"), steps)
    names = [Path(path).stem for path, _ in data.samples]
    started = time.perf_counter()
    with torch.no_grad():
        for variant in (None, *variants.values()):
            loader = torch.utils.data.DataLoader(data, batch_size=PLAIN_BATCH)
            for at, (images, _) in enumerate(loader):
                if variant is not None:
                    images = _perturbed(images, names[at * PLAIN_BATCH :], variant)
                detector(images)
    return time.perf_counter() - started


def _perturbed(images: torch.Tensor, names: list[str], variant: Variant) -> torch.Tensor:
    theirs = PLAIN.get(variant.perturbation.name)
    if theirs is None:
        return variant(images, names[: len(images)])
    return theirs(images, **variant.settings)


def alone(detector: Detector, images: torch.Tensor, batch: int, total: int) -> float:
    """Seconds of the network on ``total`` images, the given ones again and again."""
    parts = images.split(batch)
    started, done, at = time.perf_counter(), 0, 0
    with torch.inference_mode():
        while done < total:
            margin_of(detector, parts[at % len(parts)]).cpu()
            done, at = done + len(parts[at % len(parts)]), at + 1
    return (time.perf_counter() - started) * total / done


def costs(variants: dict[str, Variant], images: torch.Tensor) -> None:
    """Print the ms per image of each variant, in our batches and in one thread."""
    threads = torch.get_num_threads()
    batch = images[:BATCH]
    names = [f"image {index}" for index in range(len(batch))]
    print(f"{'ms per image':20} {threads} threads    one")
    for name, variant in variants.items():
        spent = []
        for count in (threads, 1):
            torch.set_num_threads(count)
            times = []
            for _ in range(6):
                started = time.perf_counter()
                variant(batch, names)
                times.append(time.perf_counter() - started)
            spent.append(1e3 * min(times) / len(batch))
        torch.set_num_threads(threads)
        print(f"{name:20} {spent[0]:9.2f} {spent[1]:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", default="full")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    settings = yaml.safe_load(Path("conf/config.yaml").read_text(encoding="utf-8"))
    variants = suite(settings["predict"]["suites"], options.suite)
    torch.manual_seed(0)
    network = build(options.model, image_size=options.size)
    detector = Detector(network, (0.5,) * 3, (0.5,) * 3).eval()
    if options.plain:
        print(plain(options.plain, detector, variants, options.size))
        return
    total = options.images * (1 + len(variants))
    print(
        f"{options.images} images, clean and {len(variants)} variants: {total} scores", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make(home, options.images, 256)
        command = [sys.executable, "-m", "benchmarks.variants", "--plain", folder]
        command += ["--suite", options.suite, "--model", options.model, "--size", str(options.size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        plainly = float(done.stdout)
        compare(detector, variants, home, total, plainly, options)


def compare(
    detector: Detector,
    variants: dict[str, Variant],
    home: Path,
    total: int,
    plainly: float,
    options: argparse.Namespace,
) -> None:
    """Time ours and the network alone, and print how all compare."""
    device = machine.device()
    detector.to(device)
    images = Images(Packed(home / "train"), options.size)
    pixels = next(iter(scoring_batches(images, PLAIN_BATCH)))[1]
    # as many as a large batch has, even where there are fewer
    ready = to_unit(pixels.repeat(-(-PLAIN_BATCH // len(pixels)), 1, 1, 1)[:PLAIN_BATCH], device)
    ours, batch = "facetell", batch_size(device, options.size)
    sizes = sorted({batch, PLAIN_BATCH})
    best: dict[str | int, float] = {}
    for size in sizes:
        alone(detector, ready, size, 2 * len(ready))  # to warm up
    for _ in range(options.rounds):
        for size in sizes:
            spent = alone(detector, ready, size, total)
            best[size] = min(best.get(size, spent), spent)
        started = time.perf_counter()
        variant_margins(detector, images, variants, device)
        spent = time.perf_counter() - started
        best[ours] = min(best.get(ours, spent), spent)
    for size in sizes:
        print(
            f"network alone, batch {size:2}: {best[size]:7.1f} s, {total / best[size]:6.1f}/s; "
            f"facetell costs {best[ours] / best[size]:.3f} x that"
        )
    print(f"facetell, batch {batch:2}:      {best[ours]:7.1f} s, {total / best[ours]:6.1f}/s")
    print(
        f"plain script, batch {PLAIN_BATCH}:  {plainly:7.1f} s, {total / plainly:6.1f}/s; "
        f"facetell is {plainly / best[ours]:.2f} x faster"
    )
    if device.type == "cpu":
        costs(variants, ready)


if __name__ == "__main__":
    main()
