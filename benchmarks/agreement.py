# SPDX-License-Identifier: Apache-2.0
"""How far an accelerator's scores are from the processor's, of the same weights and images.

Run: python -m benchmarks.agreement MODEL... [--json FILE]
Takes trained models and the packed test images of the workspace. The processor scores in float32;
the accelerator in float32 as the predict stage does (torch lets convolutions round to TF32 where
the hardware has it), in float32 without TF32, and in bfloat16. Verdicts are at the model's own
threshold.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facetell.common import machine
from facetell.common.files import write_json
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.metrics.ranking import auc
from facetell.models.detector import Detector
from facetell.models.inference import margins
from facetell.training.cost import machine_name
from pipeline import paths

HEAD = (
    "| model | scored in | largest difference | median difference | equal verdicts | AUC | AUC on "
    "the processor |\n|---|---|---|---|---|---|---|"
)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Convolutions of CUDA in full float32 inside the block."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def compared(model: str, device: torch.device) -> dict[str, Any]:
    """Numbers of one model by format, and the seconds that each scoring took."""
    detector = Detector.load(paths.weights(model))
    card = detector.card
    packed = Packed(paths.PACKED["test"])
    images, labels = Images(packed, card.image_size), packed.labels

    def scored(place: torch.device, dtype: torch.dtype) -> tuple[np.ndarray, float]:
        started = time.perf_counter()
        found = margins(detector.to(place), images, place, dtype=dtype)
        return found, time.perf_counter() - started

    truth, seconds = scored(torch.device("cpu"), torch.float32)
    found: dict[str, Any] = {"images": len(images), "auc": auc(labels, truth), "seconds": seconds}
    scored(device, torch.float32)  # kernels are chosen here
    found["formats"] = {}
    for name, dtype, exact in (
        ("float32", torch.float32, False),
        ("float32 without TF32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        if exact:
            with without_tf32():
                other, seconds = scored(device, dtype)
        else:
            other, seconds = scored(device, dtype)
        apart = np.abs(other - truth)
        equal = (other >= card.threshold) == (truth >= card.threshold)
        found["formats"][name] = {
            "largest": float(apart.max()),
            "median": float(np.median(apart)),
            "equal_verdicts": float(equal.mean()),
            "auc": auc(labels, other),
            "spread": float(truth.std()),
            "seconds": seconds,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    options = parser.parse_args()
    device = machine.device()
    print(f"{machine_name(device)}, torch {torch.__version__}\n\n{HEAD}", flush=True)
    found = {}
    for model in options.models:
        found[model] = compared(model, device)
        for name, numbers in found[model]["formats"].items():
            print(
                f"| `{model}` | {name} | {numbers['largest']:.2g} | {numbers['median']:.2g} "
                f"| {numbers['equal_verdicts']:.2%} | {numbers['auc']:.4f} "
                f"| {found[model]['auc']:.4f} |",
                flush=True,
            )
        if options.json:
            about = {"device": machine_name(device), "torch": torch.__version__}
            write_json(options.json, about | {"models": found}, digits=9)


if __name__ == "__main__":
    main()
