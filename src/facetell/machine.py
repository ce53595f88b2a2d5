"""The machine that tensors are computed on, and how its processor is best used."""

import ctypes
import sys

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc, malloc.h


def device() -> torch.device:
    """The accelerator if there is one, else the processor, prepared for networks."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    return torch.device("cpu")


def _keep_freed_memory() -> None:
    """Let malloc keep what is freed: a training step needs the same memory again.

    By default every large tensor is mapped afresh and cleared by the kernel, page by page; see
    ``benchmarks/malloc.py`` for what that costs. Elsewhere than with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the highest that glibc accepts
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 128 * 2**20)
