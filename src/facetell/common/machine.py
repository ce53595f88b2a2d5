"""The machine that tensors are computed on, and how it is best used."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import cpu_count

from facetell.common.distributed import local_rank

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # glibc, malloc.h


def device() -> torch.device:
    """The accelerator if there is one (each process its own), else the processor."""
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank())
        return torch.device("cuda", local_rank())
    torch.set_flush_denormal(True)
    keep_freed_memory()
    return torch.device("cpu")


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
    return min(8, max(1, cpu_count() - 1)) if device.type == "cuda" else 0


@contextmanager
def repeatable(wanted: bool, device: torch.device) -> Iterator[None]:
    """Inside the block, only algorithms that give the same bits every time, if ``wanted``.

    On a processor all that are used here do so anyway. On a GPU this is slower, and an operation
    that has no such algorithm raises torch's error, which names it.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted or before[0])
    torch.backends.cudnn.benchmark = device.type == "cuda" and not wanted
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
