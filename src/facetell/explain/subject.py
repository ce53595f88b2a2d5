# SPDX-License-Identifier: Apache-2.0
"""The model as it is explained: what is called, what its layers are, and how it is left alone."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.models.detector import Detector

SIGN = {"fake": 1.0, "real": -1.0}


@dataclass(frozen=True)
class Subject:
    """``model`` is called; names of layers are those of ``network``, its own or a detector's."""

    model: nn.Module
    network: nn.Module

    @classmethod
    def of(cls, model: nn.Module) -> "Subject":
        """Take a detector or any module, compiled or not; UserError for what takes no hooks."""
        if not isinstance(model, nn.Module):
            raise UserError(f"a model to explain is a torch.nn.Module, got {type(model).__name__}")
        model = _unwrapped(model)
        if isinstance(model, torch.jit.ScriptModule):
            raise UserError("a scripted model takes no hooks: explain the module it was made of")
        network = _unwrapped(model.network) if isinstance(model, Detector) else model
        return cls(model, network)

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """Every layer by its name, the network itself left out."""
        named = self.network.named_modules()
        return {name.replace("_orig_mod.", ""): module for name, module in named if name}

    @property
    def name(self) -> str:
        return type(self.network).__name__

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 2) for (real, fake); UserError if the model cannot take the images or has others."""
        try:
            # a copy: the first layer may work in place
            logits = self.model(images.clone())
        except UserError:
            raise
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{len(images)} images at once do not fit into memory: lower batch_size"
            ) from error
        except (RuntimeError, AssertionError, ValueError, IndexError, TypeError) as error:
            shape, dtype = tuple(images.shape), str(images.dtype).removeprefix("torch.")
            raise UserError(
                f"{self.name} cannot take {dtype} images of shape {shape} ({brief(error)}); give "
                "the size, number of channels and precision that it was made for"
            ) from error
        if not isinstance(logits, torch.Tensor) or logits.shape != (len(images), 2):
            given: Any = getattr(logits, "shape", type(logits).__name__)
            raise UserError(
                f"a model to explain gives logits of shape ({len(images)}, 2) for (real, fake); "
                f"{self.name} gives {tuple(given) if isinstance(given, torch.Size) else given}"
            )
        return logits

    def margin(self, images: torch.Tensor) -> torch.Tensor:
        """Fake logit - real logit (B,), in the precision of the logits."""
        logits = self.logits(images)
        return logits[:, 1] - logits[:, 0]


def device_of(model: nn.Module, like: torch.Tensor | None = None) -> torch.device:
    """Where a model computes; of a model without parameters the device of ``like``, or the
    processor."""
    return next(model.parameters(), torch.empty(0) if like is None else like).device


def sign_of(target: str) -> float:
    """1 for "fake", -1 for "real"; UserError for anything else."""
    if target not in SIGN:
        raise UserError(f"the target of an explanation is fake or real, not {target!r}")
    return SIGN[target]


def checked(images: Any, subject: Subject) -> torch.Tensor:
    """The images on the model's device; UserError for what is not a batch of finite floats."""
    if not isinstance(images, torch.Tensor):
        raise UserError(f"images to explain are a torch.Tensor, got {type(images).__name__}")
    if images.ndim != 4 or not images.numel():
        raise UserError(
            f"images to explain have shape (B, 3, H, W) with none of them 0, got "
            f"{tuple(images.shape)}" + ("; add the batch: images[None]" * (images.ndim == 3))
        )
    if not images.is_floating_point():
        raise UserError(
            f"images to explain are floats in the range that the model takes, got {images.dtype}: "
            "for a detector divide bytes by 255"
        )
    bad = (~images.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    if bad:
        raise UserError(f"values that are not finite in images {', '.join(map(str, bad))}")
    return images.detach().to(device_of(subject.model, images))


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Inside: evaluation mode, frozen parameters, gradients on. Afterwards all is as it was.

    Modes are set on each submodule, since a model may have some in evaluation mode on purpose;
    buffers that a forward pass changes even then are put back. What torch.compile made is
    bypassed: it would leave out hooks.
    """
    modes = [(module, module.training) for module in model.modules()]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    buffers = [
        (module, name, value, value.clone())
        for module in model.modules()
        for name, value in module._buffers.items()
        if value is not None
    ]
    try:
        for module, _ in modes:
            module.training = False
        for parameter in trained:
            parameter.requires_grad_(False)
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            _uncompiled(),
        ):
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter in trained:
            parameter.requires_grad_(True)
        with torch.no_grad():
            for module, name, value, before in buffers:
                if not torch.equal(value, before):
                    value.copy_(before)
                module._buffers[name] = value


def _uncompiled() -> AbstractContextManager[Any]:
    """Nothing was compiled where the compiler was never imported, which takes seconds."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def _unwrapped(model: nn.Module) -> nn.Module:
    inner: Any = model
    while True:
        if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = inner.module
        elif hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod
        else:
            return inner
