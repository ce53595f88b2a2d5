# SPDX-License-Identifier: Apache-2.0
"""The number format of the forward and backward pass: chosen by hand, or measured.

On a processor, bfloat16 doubles the speed of some networks and halves that of others (depthwise
convolutions), so ``auto`` times a few steps of both, once per network and machine.
"""

import json
import platform
import time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from facetell.common.files import cached, read_json, write_json
from facetell.common.locks import alone
from facetell.common.machine import (
    accelerator_name,
    memory_format,
    say_once,
    synchronise,
    trains_in,
)
from facetell.models.detector import Detector
from facetell.training.recipe import Recipe

GAIN = 1.1  # how much faster bfloat16 must be: less could be noise, and float32 is exact
LONG = 2.0  # seconds: a step that takes longer is timed once, not three times


def autocast_dtype(
    network: str, detector: Detector, recipe: Recipe, device: torch.device
) -> torch.dtype:
    """The recipe's precision as a torch dtype; ``auto`` is measured, but on CUDA.

    On CUDA ``auto`` is bfloat16 where the hardware has it, else float16 (with loss scaling). A
    precision in which the device cannot train is replaced by float32, which is said.
    Measurements are kept in ``$XDG_CACHE_HOME/facetell/precision.json`` (``~/.cache`` if unset),
    so that the same seed gives the same numbers on this machine ever after. The detector is left
    as it was.

    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> recipe = Recipe(image_size=64, epochs=1, batch_size=8, lr=0.1, precision="bfloat16")
    >>> autocast_dtype("simplenet", detector, recipe, torch.device("cpu"))
    torch.bfloat16
    """
    if recipe.precision != "auto":
        dtype: torch.dtype = getattr(torch, recipe.precision)
        if trains_in(dtype, device):
            return dtype
        say_once(f"{device.type} does not train in {recipe.precision}: it does in float32")
        return torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if device.type == "cpu" and not has_bfloat16():
        return torch.float32  # emulated: slower by far, and slow to find out
    if not trains_in(torch.bfloat16, device):
        return torch.float32
    file, key = cached("precision.json"), _key(network, recipe, device)
    with alone(file):  # two measurements at once would be of each other
        known: dict[str, Any] = read_json(file) if file.exists() else {}
        if key not in known:
            known[key] = round(bfloat16_gain(detector, recipe, device), 3)
            write_json(file, known)
    return torch.bfloat16 if known[key] >= GAIN else torch.float32


def bfloat16_gain(detector: Detector, recipe: Recipe, device: torch.device) -> float:
    """Speed of a bfloat16 step over that of a float32 step (forward and backward).

    The detector and torch's random numbers are left as they were.
    """
    size = recipe.image_size
    count = min(recipe.micro_batch or recipe.batch_size, recipe.batch_size)
    own = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, size, size, generator=own)
    images = images.to(device).to(memory_format=memory_format(device))
    labels = (torch.arange(count) % 2).to(device)
    buffers = {name: value.clone() for name, value in detector.named_buffers()}
    mode, random = detector.training, torch.get_rng_state()

    def step(dtype: torch.dtype) -> float:
        started = time.perf_counter()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = cross_entropy(detector(images).float(), labels)
        loss.backward()
        synchronise(device)
        return time.perf_counter() - started

    dtypes = (torch.float32, torch.bfloat16)
    detector.train(count > 1)
    first = [step(dtype) for dtype in dtypes]  # kernels are chosen and compiled here
    rounds = 1 if max(first) > LONG else 3
    # in turns, so that a busy moment of the machine meets both
    times = [[step(dtype) for dtype in dtypes] for _ in range(rounds)]
    detector.zero_grad(set_to_none=True)
    detector.train(mode)
    torch.set_rng_state(random)
    with torch.no_grad():
        for name, value in detector.named_buffers():
            value.copy_(buffers[name])
    return min(row[0] for row in times) / min(row[1] for row in times)


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 natively."""
    # newer than our oldest torch
    native: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(native.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _key(network: str, recipe: Recipe, device: torch.device) -> str:
    parts = {
        "network": network,
        "width": recipe.width,
        "options": dict(recipe.options),
        "image_size": recipe.image_size,
        "batch": recipe.micro_batch or recipe.batch_size,
        "torch": torch.__version__,
        "machine": f"{platform.node()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }
    if device.type != "cpu":
        parts["device"] = accelerator_name(device)
    return json.dumps(parts, sort_keys=True)
