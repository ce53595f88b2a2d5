# SPDX-License-Identifier: Apache-2.0
"""The machine that tensors are computed on, and how it is best used.

All that differs between a processor and the accelerators that torch knows is here: CUDA and ROCm
(which torch calls cuda), Apple's MPS, Intel's XPU. What a device can do is found out by trying,
where that is possible.
"""

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.distributed as dist
from joblib import cpu_count

from facetell.common.errors import UserError, brief
from facetell.common.progress import to_stderr

CHOICE = "FACETELL_DEVICE"  # environment variable: cpu, or the type of the accelerator
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc, malloc.h


def device() -> torch.device:
    """The accelerator if there is one (each process its own), else the processor.

    ``FACETELL_DEVICE=cpu`` in the environment chooses the processor. What the accelerator lacks is
    said once, in a line on stderr; it is computed on the processor.

    Raises
    ------
    UserError : ``FACETELL_DEVICE`` names what is not there.
    """
    found = accelerator()
    if found is not None and _together() and backend(found) == "gloo":
        say_once(f"processes cannot work together on {found.type}: they do on the processor")
        found = None
    if found is None:
        torch.set_flush_denormal(True)
        keep_freed_memory()
        return torch.device("cpu")
    torch.accelerator.set_device_index(local_rank())
    found = torch.device(found.type, local_rank())
    if not has_float64(found):
        say_once(f"{found.type} has no 64-bit numbers: what needs them is done on the processor")
    return found


def accelerator() -> torch.device | None:
    """The type of accelerator to use, whatever its number; None: the processor."""
    there = torch.accelerator.current_accelerator(check_available=True)
    types = ["cpu"] if there is None else ["cpu", there.type]
    wanted = os.environ.get(CHOICE) or types[-1]
    if wanted not in types:
        raise UserError(f"{CHOICE} is {wanted!r}, but torch finds {' and '.join(types)} here")
    return None if wanted == "cpu" else there


def backend(device: torch.device) -> str:
    """How processes exchange tensors of a device: nccl, xccl, ...; gloo is for the processor's."""
    try:
        return dist.get_default_backend_for_device(device.type)
    except ValueError:
        return "gloo"


def local_rank() -> int:
    """This process's number on its machine, which is the number of its accelerator."""
    return int(os.environ.get("LOCAL_RANK", 0))


def _together() -> bool:
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


@cache
def say_once(line: str) -> None:
    """Print a line on stderr, however often it is asked for."""
    to_stderr(f"facetell: {line}")


def keep_freed_memory() -> None:
    """Let malloc keep what is freed: a training step needs the same memory again.

    By default every large tensor is mapped afresh, and the kernel clears it page by page; what that
    costs is measured by ``benchmarks/memory_reuse.py``. With another C library than glibc this
    does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 * 2**20)


def default_workers(device: torch.device) -> int:
    """Processes that decode beside the training: none on a processor, which is busy anyway."""
    return 0 if device.type == "cpu" else min(8, max(1, cpu_count() - 1))


def pins_memory(device: torch.device) -> bool:
    """Whether batches are copied to the device faster from pinned memory."""
    return device.type in ("cuda", "xpu")


def memory_format(device: torch.device) -> torch.memory_format:
    """The order of images in memory that convolutions are fastest in.

    On MPS the backward pass of batch norm fails with channels last, up to torch 2.12
    (pytorch/pytorch#188371).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


@cache
def has_float64(device: torch.device) -> bool:
    """Whether the device computes with 64-bit floats; MPS does not, nor do some XPUs.

    >>> has_float64(torch.device("cpu"))
    True
    """
    try:
        return float(torch.ones(1, dtype=torch.float64, device=device).sum()) == 1
    except (RuntimeError, TypeError, AssertionError):
        return False


@cache
def trains_in(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether an update works in this number format, with its loss scaled where that is needed.

    >>> trains_in(torch.bfloat16, torch.device("cpu"))
    True
    """
    if dtype == torch.float32:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # autocast warns, and is off
            return _update(dtype, device) == dtype
    except (RuntimeError, TypeError, AssertionError, Warning):
        return False


def _update(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    weight = torch.ones(1, 1, 1, 1, device=device, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 0.1)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    with torch.autocast(device.type, dtype):
        answer = torch.nn.functional.conv2d(torch.ones(1, 1, 2, 2, device=device), weight)
    scaler.scale(answer.float().sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return answer.dtype


def synchronise(device: torch.device) -> None:
    """Wait until the device has computed all that it was told to."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def peak_device_memory(device: torch.device) -> float | None:
    """The most memory of an accelerator that tensors have taken so far, in MiB; None: not known.

    On MPS, which does not count the most, what its driver holds now: it keeps what was freed.
    """
    if device.type == "cpu":
        return None
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 2**20
    try:
        return torch.accelerator.max_memory_allocated(device) / 2**20
    except RuntimeError:
        return None


def accelerator_name(device: torch.device) -> str:
    """As its maker calls it, where torch knows; else its type."""
    if device.type == "mps":
        name = getattr(torch.backends.mps, "get_name", None)
        return name() if name else device.type
    name = getattr(torch.get_device_module(device), "get_device_name", None)
    return name(device) if name else device.type


@contextmanager
def repeatable(wanted: bool, device: torch.device) -> Iterator[None]:
    """Inside the block, only algorithms that give the same bits every time, if ``wanted``.

    On a processor all that are used here do so anyway. On an accelerator this is slower.

    Raises
    ------
    UserError : an operation has no such algorithm on this device; torch names it.
    """
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    except RuntimeError as error:
        if not wanted or "deterministic" not in str(error):
            raise
        raise UserError(
            f"train.deterministic: {device.type} cannot ({brief(error)}): set it to false, or "
            f"{CHOICE}=cpu in the environment"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)
