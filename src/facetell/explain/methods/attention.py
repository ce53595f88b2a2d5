# SPDX-License-Identifier: Apache-2.0
"""What a class token attends to, over all blocks: where attention joins all positions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.layers import grid_of
from facetell.explain.registry import Task, register
from facetell.explain.subject import Subject

WHERE = "vision transformers as timm builds them, whose attention joins all positions (vit, deit)"


def _undefined(subject: Subject, *_: Any) -> str | None:
    if not _attentions(subject):
        return "it has no attention"
    if not hasattr(subject.network, "num_prefix_tokens"):
        return "its attention stays within windows, so that its blocks have no tokens in common"
    return None


@register(
    "attention rollout",
    kind="attention",
    source="Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020",
    where=WHERE,
    undefined=_undefined,
    signed=False,
)
def attention_rollout(task: Task) -> torch.Tensor:
    """Product over blocks of 0.5 A + 0.5 I, rows normalised, A the mean over heads.

    It knows no target: the same map for fake and for real.
    """
    with torch.no_grad(), _seen(task.subject) as seen:
        task.subject.logits(task.images)
    rolled = _identity(seen)
    for attention in seen:
        step = 0.5 * attention.mean(1) + 0.5 * _identity([attention])
        rolled = step / step.sum(2, keepdim=True) @ rolled
    return _positions(task, rolled)


@register(
    "gradient-weighted attention rollout",
    kind="attention",
    source="Chefer et al., Generic Attention-model Explainability, ICCV 2021",
    where=WHERE,
    undefined=_undefined,
    signed=False,
)
def gradient_rollout(task: Task) -> torch.Tensor:
    """R = I, then R += mean over heads of ReLU(dS/dA A) times R, block by block."""
    with _seen(task.subject) as seen:
        margin = task.subject.margin(task.images.clone().requires_grad_(True))
        gradients = torch.autograd.grad((task.sign * margin).sum(), seen)
    rolled = _identity(seen)
    for attention, gradient in zip(seen, gradients, strict=True):
        rolled = rolled + (gradient * attention.detach()).clamp(min=0).mean(1) @ rolled
    return _positions(task, rolled)


def _attentions(subject: Subject) -> list[Any]:
    """Attention modules in timm's way: softmax, then ``attn_drop``, unless ``fused_attn``."""
    every = subject.modules.values()
    return [module for module in every if hasattr(module, "attn_drop")]


@contextmanager
def _seen(subject: Subject) -> Iterator[list[torch.Tensor]]:
    """Inside, the attention (B, heads, N, N) of each block is collected, in forward order."""
    modules = _attentions(subject)
    seen: list[torch.Tensor] = []
    before = [(module, module.fused_attn) for module in modules if hasattr(module, "fused_attn")]

    def see(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        if seen and output.shape != seen[0].shape:
            raise UserError(
                f"the attention of {subject.name} changes from {tuple(seen[0].shape)} to "
                f"{tuple(output.shape)}: blocks without common tokens have no rollout"
            )
        seen.append(output)

    handles = [module.attn_drop.register_forward_hook(see) for module in modules]
    try:
        for module, _ in before:
            module.fused_attn = False
        yield seen
    finally:
        for module, fused in before:
            module.fused_attn = fused
        for handle in handles:
            handle.remove()


def _identity(seen: list[torch.Tensor]) -> torch.Tensor:
    return torch.eye(seen[0].shape[-1]).to(seen[0].detach())


def _positions(task: Task, rolled: torch.Tensor) -> torch.Tensor:
    """(B, N, N) to (B, h, w): the class token's row, or the mean where positions are pooled."""
    network: Any = task.subject.network
    height, width = task.images.shape[2:]
    grid = grid_of(rolled.shape[1], height, width, network.num_prefix_tokens)
    if grid is None:
        raise UserError(f"{rolled.shape[1]} tokens are no grid on images of {height}x{width} px")
    first = rolled.shape[1] - grid[0] * grid[1]
    pooled = getattr(network, "global_pool", "token") not in ("token", "")
    rows = rolled[:, first:].mean(1) if pooled else rolled[:, 0]
    return rows[:, first:].unflatten(1, grid)
