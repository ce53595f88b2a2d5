# SPDX-License-Identifier: Apache-2.0
"""What Quantus says of fixed maps, images and a small network: the oracle of our measures.

``quantus.json`` beside this file was made by

    pip install --no-deps --target QUANTUS quantus==0.6.0 cachetools==8.0.2
    PYTHONPATH=QUANTUS:src python tests/oracles/quantus_outputs.py

Quantus is no dependency: it asks for opencv-python, which overwrites the files of
opencv-python-headless. In a folder of its own it runs beside our numpy and torch, but for what
calls numpy's trapz, which is gone; nothing here does.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.seeding import seed_of
from facetell.explain.trust.faithfulness import blurred
from facetell.explain.trust.planted import near

STORED = Path(__file__).with_name("quantus.json")
COUNT, SIZE = 8, 16
STEPS = 4  # of pixel flipping
PERCENTAGES = (10, 25, 40, 60, 75, 90)  # of the pixels that ROAD removes
DRAWS, RADIUS = 5, 0.02  # of max-sensitivity
SHUFFLES = 4000  # orders of tied pixels
SEED = 42  # of Quantus' randomisation, which adds 1


@dataclass
class Inputs:
    """Images (B, 3, S, S) in [0, 1], signed maps without ties and maps with many (B, S, S), masks
    (B, S, S), and networks of colour and of grey images with two logits."""

    images: torch.Tensor
    maps: np.ndarray
    tied: np.ndarray
    masks: np.ndarray
    network: nn.Module
    grey: nn.Module


def inputs() -> Inputs:
    """The same on every machine and with every version of torch: all comes from numpy."""
    random = np.random.default_rng(17)
    images = torch.from_numpy(random.random((COUNT, 3, SIZE, SIZE), dtype=np.float32))
    maps = random.normal(size=(COUNT, SIZE, SIZE))
    tied = random.integers(0, 4, (COUNT, SIZE, SIZE)).astype(float)
    masks = np.zeros((COUNT, SIZE, SIZE), dtype=bool)
    for mask in masks:
        top, left = random.integers(0, SIZE - 6, 2)
        height, width = random.integers(3, 7, 2)
        mask[top : top + height, left : left + width] = True
    maps = maps + 1.5 * masks  # they find some of it
    colour, grey = (_network(random, images[:, :channels]) for channels in (3, 1))
    return Inputs(images, maps, tied, masks, colour, grey)


def _network(random: np.random.Generator, images: torch.Tensor) -> nn.Sequential:
    """Two convolutions and a linear layer; half of the ``images`` are fake to it."""
    network = nn.Sequential(
        nn.Conv2d(images.shape[1], 6, 3, padding=1), nn.Softplus(),
        nn.Conv2d(6, 6, 3, padding=1, stride=2), nn.Softplus(),
        nn.Flatten(), nn.Linear(6 * (SIZE // 2) ** 2, 2),
    )  # fmt: skip
    with torch.no_grad():
        for value in network.parameters():
            drawn = random.normal(0, 0.3, tuple(value.shape))
            value.copy_(torch.from_numpy(drawn))
        network[-1].bias[1] -= margin(network, images).quantile(0.5)
    return network.eval()


def margin(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logit of fake minus logit of real, (B,)."""
    logits = network(images)
    return logits[:, 1] - logits[:, 0]


def gradient(network: nn.Module, images: torch.Tensor) -> np.ndarray:
    """Gradient of the margin, summed over the colours: maps (B, S, S)."""
    pixels = images.clone().requires_grad_(True)
    return torch.autograd.grad(margin(network, pixels).sum(), pixels)[0].sum(1).numpy()


def moved(images: np.ndarray, draw: int) -> np.ndarray:
    """The images after one of max-sensitivity's draws, by the seeds that ours has."""
    noise = [
        np.random.default_rng(seed_of(0, str(row), draw)).uniform(-1, 1, images.shape[1:])
        for row in range(len(images))
    ]
    return images + RADIUS * np.stack(noise).astype(np.float32)


def outputs(quantus: Any) -> dict[str, Any]:
    """All that the tests compare, by measure."""
    given = inputs()
    fake = np.ones(COUNT, dtype=int)
    return {
        "version": quantus.__version__,
        "localisation": _localisation(quantus, given),
        "flipping": _flipping(quantus, given, fake),
        "road": _road(quantus, given, fake),
        "sensitivity": _sensitivity(quantus, given, fake),
        "randomisation": _randomisation(quantus, given, fake),
    }


def _localisation(quantus: Any, given: Inputs) -> dict[str, Any]:
    measures = {
        "rma": quantus.RelevanceMassAccuracy,
        "rra": quantus.RelevanceRankAccuracy,
        "pointing": quantus.PointingGame,
    }
    settings = {"abs": False, "normalise": False, "disable_warnings": True}

    def every(maps: np.ndarray, masks: np.ndarray) -> dict[str, list[float]]:
        images = given.images.numpy()[: len(maps)]
        return {
            name: [float(value) for value in measure(**settings)(
                model=None, x_batch=images, y_batch=np.ones(len(maps), dtype=int),
                a_batch=maps[:, None], s_batch=masks[:, None],
            )]
            for name, measure in measures.items()
        }  # fmt: skip

    positive = np.clip(given.maps, 0, None)
    shuffled = []
    random = np.random.default_rng(0)
    for _ in range(SHUFFLES):  # the same order for map and mask: only ties are treated otherwise
        order = random.permutation(SIZE * SIZE)
        maps, masks = (
            values.reshape(COUNT, -1)[:, order].reshape(values.shape)
            for values in (given.tied, given.masks)
        )
        rank = quantus.RelevanceRankAccuracy(**settings)
        shuffled.append(rank.evaluate_batch(a_batch=maps[:, None], s_batch=masks[:, None]))
    return {
        "positive": every(positive, given.masks),
        "signed": every(given.maps, given.masks),
        "near": every(positive, near(given.masks)),
        "tied": every(given.tied, given.masks),
        "tied_in_all_orders": np.mean(shuffled, axis=0).tolist(),
    }


def _flipping(quantus: Any, given: Inputs, fake: np.ndarray) -> dict[str, Any]:
    """Probability of fake while pixels are blurred, and while they come back."""
    sharp, soft = given.images.numpy(), blurred(given.images).numpy()

    def along(start: np.ndarray, end: np.ndarray) -> list[list[float]]:
        def replace(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
            result, rows = arr.copy(), np.arange(len(arr))[:, None]
            result[rows, indices] = end.reshape(len(end), -1)[rows, indices]
            return result

        measure = quantus.PixelFlipping(
            features_in_step=SIZE**2 // STEPS, perturb_func=replace, abs=False,
            normalise=False, disable_warnings=True,
        )  # fmt: skip
        found = measure(
            model=given.network, x_batch=start, y_batch=fake, a_batch=given.maps[:, None],
            softmax=True, channel_first=True,
        )  # fmt: skip
        # a step is of so many values, of which a pixel has three: every third ends with a pixel
        return [values[2::3] for values in found]

    return {"deletion": along(sharp, soft), "insertion": along(soft, sharp)}


def _road(quantus: Any, given: Inputs, fake: np.ndarray) -> dict[str, Any]:
    from quantus.functions.perturb_func import noisy_linear_imputation

    def removed(images: np.ndarray, network: nn.Module) -> dict[str, float]:
        measure = quantus.ROAD(
            percentages=list(PERCENTAGES), noise=0.0, abs=False, normalise=False,
            disable_warnings=True,
        )  # fmt: skip
        found = measure(
            model=network, x_batch=images, y_batch=fake, a_batch=given.maps[:, None],
            channel_first=True,
        )  # fmt: skip
        return {str(key): float(value) for key, value in found.items()}

    images = given.images.numpy()
    gone = np.flatnonzero(given.maps[0] > 0)
    return {
        "imputed": noisy_linear_imputation(images[0].astype(float), gone, noise=0.0).tolist(),
        "accuracy": removed(images[:, :1], given.grey),
        "colour": _refusal(lambda: removed(images, given.network)),
    }


def _refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return ""


def _sensitivity(quantus: Any, given: Inputs, fake: np.ndarray) -> list[float]:
    draws = iter(range(DRAWS))

    def perturb(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
        images = arr.reshape(given.images.shape)
        return moved(images, next(draws)).reshape(arr.shape)

    measure = quantus.MaxSensitivity(
        nr_samples=DRAWS, perturb_func=perturb, abs=False, normalise=False, disable_warnings=True
    )
    found = measure(
        model=given.network, x_batch=given.images.numpy(), y_batch=fake,
        explain_func=_explain, channel_first=True,
    )  # fmt: skip
    return [float(value) for value in found]


def _randomisation(quantus: Any, given: Inputs, fake: np.ndarray) -> dict[str, list[float]]:
    measure = quantus.MPRT(
        layer_order="top_down", seed=SEED, abs=False, normalise=False, disable_warnings=True,
        similarity_func=quantus.similarity_func.correlation_spearman,
    )  # fmt: skip
    found = measure(
        model=given.network, x_batch=given.images.numpy(), y_batch=fake,
        explain_func=_explain, channel_first=True,
    )  # fmt: skip
    return {layer: [float(value) for value in values] for layer, values in found.items()}


def _explain(model: Any, inputs: np.ndarray, targets: np.ndarray, **_: Any) -> np.ndarray:
    network = getattr(model, "model", model)
    return gradient(network, torch.from_numpy(np.asarray(inputs, dtype=np.float32)))[:, None]


def main() -> None:
    import quantus

    STORED.write_text(json.dumps(outputs(quantus), indent=1) + "\n", encoding="utf-8", newline="\n")
    print(f"{STORED}: written with Quantus {quantus.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
