# SPDX-License-Identifier: Apache-2.0
"""What a network costs: parameters, multiply-adds, memory, and the machine it ran on."""

import platform
import sys
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from facetell.common.machine import accelerator_name, peak_device_memory
from facetell.models.detector import Detector
from facetell.models.factory import parameter_count
from facetell.training.checkpoint import History


def multiply_adds(detector: Detector, image_size: int) -> int:
    """Multiply-adds of convolutions, matrix products and attention for one image.

    Counted by torch's flop counter (two operations per multiply-add); normalisation, activations
    and poolings are not counted, as is usual.

    >>> detector = Detector(torch.nn.Conv2d(3, 8, 5, padding=2), (0.5,) * 3, (0.5,) * 3)
    >>> multiply_adds(detector, 32) == 3 * 8 * 5**2 * 32**2
    True
    """
    mode = detector.training
    image = torch.zeros(1, 3, image_size, image_size, device=detector.mean.device)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            detector.eval()(image)
    finally:
        detector.train(mode)
    return counter.get_total_flops() // 2


def cost_of(
    detector: Detector,
    history: History,
    *,
    images: int,
    multiply_adds: int,
    dtype: torch.dtype,
    processes: int = 1,
) -> dict[str, Any]:
    """What a training has cost that is over: ``images`` are those of an epoch."""
    device = detector.mean.device
    cost: dict[str, Any] = {
        "parameters": parameter_count(detector),
        "multiply_adds": multiply_adds,
        "seconds": round(history.seconds, 1),
        "images_per_second": round(history.epoch * images / max(history.seconds, 1e-9), 1),
        "epochs": history.epoch,
        "best_epoch": history.best_epoch,
        "memory_mib": round(peak_memory()),
        "device": machine_name(device),
        "processes": processes,
        "precision": str(dtype).removeprefix("torch."),
    }
    if (most := peak_device_memory(device)) is not None:
        cost["gpu_memory_mib"] = round(most)
    return cost


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**20
    import resource  # Windows has no such module

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def machine_name(device: torch.device) -> str:
    """The accelerator's name, or the processor's with the number of threads in use."""
    if device.type != "cpu":
        return accelerator_name(device)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {torch.get_num_threads()} threads"
