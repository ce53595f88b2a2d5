# SPDX-License-Identifier: Apache-2.0
"""explain(): any of the methods, at any layers, for a batch of images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.explain.layers import resolve
from facetell.explain.maps import INPUT, Explanation, judge
from facetell.explain.methods import (  # noqa: F401  (each registers its methods)
    attention,
    cam,
    gradients,
    guided,
    perturbing,
)
from facetell.explain.methods.one_pass import saliency as saliency_of
from facetell.explain.registry import METHODS, Method, Task, methods_named
from facetell.explain.shared_pass import Judged, Pass, to_numpy
from facetell.explain.subject import Subject, checked, sign_of, untouched


def explain(
    model: nn.Module,
    images: torch.Tensor,
    target: str = "fake",
    methods: str | Sequence[str] = ("gradcam",),
    layers: str | Sequence[str] = "all",
    *,
    relu: bool = False,
    batch_size: int = 32,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    saliency: bool = True,
) -> Explanation:
    """Explain the margin of each image by any number of methods.

    Parameters
    ----------
    model : a ``Detector``, or any module that maps images to logits (B, 2) for (real, fake);
        it is left as it was in every respect, also after an error.
    images : float (B, 3, H, W) in the range that the model takes: [0, 1] for a detector.
    target : "fake" explains the margin, fake logit - real logit; "real" its negative.
    methods : names in ``METHODS``. All of the one-pass kinds together cost one forward and one
        backward pass.
    layers : "all" that the network's definition lists (see ``layers``), "default", the one that
        it recommends, or names as in ``named_modules()`` of the network.
    relu : apply the ReLU that closes a method's definition, where it has one.
    batch_size : images in a forward pass, which is what bounds the memory.
    options : arguments of single methods, such as ``{"smoothgrad": {"samples": 10}}``.
    seed : of methods that draw; the draws do not depend on where in the batch an image stands.
    saliency : False leaves out the saliency beside the maps (it is then (B, 0, 0)), and with it the
        backward pass from the first of the layers to the images, which most of the time goes to.

    >>> from facetell.models import build
    >>> network = build("simplenet", image_size=64)
    >>> found = explain(network, torch.rand(2, 3, 64, 64), methods=["gradcam", "layercam"],
    ...                 layers=["conv1", "conv2"])
    >>> found.maps["gradcam"]["conv2"].shape, found.saliency.shape
    ((2, 23, 23), (2, 64, 64))
    >>> sorted(found.maps), list(found.maps["layercam"])
    (['gradcam', 'layercam'], ['conv1', 'conv2'])

    Raises
    ------
    UserError : an unknown method, layer or target; a method that is not defined for the model;
        images or a model that cannot be used. The message says what is valid.
    """
    sign, chosen, options = sign_of(target), methods_named(methods), options or {}
    subject = Subject.of(model)
    images = checked(images, subject)
    _check_options(chosen, options, batch_size)
    parts: list[dict[tuple[str, str], Judged]] = []
    margins, pixels, titles = [], [], {method.name: method.title for method in chosen}
    with untouched(subject.model):
        wanted = resolve(subject, layers, images)
        refuse(subject, chosen, wanted, images)
        for chunk in images.split(batch_size):
            shared = Pass(subject, chunk, wanted, chosen, to_input=saliency)
            margin, gradient = shared.run(sign)
            for method in chosen:
                if not method.one_pass:
                    task = Task(subject, chunk, sign, wanted, batch_size, seed)
                    shared.results |= _separate(method, task, options.get(method.name, {}))
                    titles[method.name] = task.title or method.title
            parts.append(shared.results)
            margins.append(to_numpy(margin))
            pixels.append(_saliency(chunk, gradient if saliency else None))
    return Explanation(
        target,
        *_gathered(parts, chosen, list(wanted), relu),
        saliency=np.concatenate(pixels),
        margin=np.concatenate(margins),
        titles=titles,
    )


def undefined(
    subject: Subject, method: Method, layers: Iterable[str], images: torch.Tensor
) -> str | None:
    """Why a method is not defined for a model at these layers; None if it is."""
    if method.of_layers and not layers:
        return "no layer of it gives a map"
    return method.undefined(subject, layers, images) if method.undefined else None


def defined_methods(
    model: nn.Module, images: torch.Tensor, layers: str | Sequence[str] = "all"
) -> dict[str, str]:
    """For every method "" if it is defined for the model at these layers, else the reason.

    Arguments as for ``explain``; only the first image is used.

    >>> from facetell.models import build
    >>> reasons = defined_methods(build("simplenet", image_size=64), torch.rand(1, 3, 64, 64))
    >>> reasons["gradcam"], reasons["attention_rollout"]
    ('', 'it has no attention')
    """
    subject = Subject.of(model)
    images = checked(images, subject)[:1]
    with untouched(subject.model):
        wanted = resolve(subject, layers, images)
        return {name: undefined(subject, method, wanted, images) or ""
                for name, method in METHODS.items()}  # fmt: skip


def refuse(
    subject: Subject, chosen: Sequence[Method], layers: Iterable[str], images: torch.Tensor
) -> None:
    """UserError if a method is not defined, with the reason and the methods that are."""
    for method in chosen:
        reason = undefined(subject, method, layers, images)
        if reason:
            defined = [
                m.name for m in METHODS.values() if not undefined(subject, m, layers, images)
            ]
            raise UserError(
                f"{method.name} is not defined for {subject.name}: {reason}; it is for "
                f"{method.where}. Defined here: {', '.join(defined)}"
            )


def _separate(
    method: Method, task: Task, options: Mapping[str, Any]
) -> dict[tuple[str, str], Judged]:
    """Maps of a method that has passes of its own."""
    result = method.function(task, **options)
    by_layer = result if method.kind == "layer" else [(INPUT, result)]
    results = {}
    for layer, maps in by_layer:
        status = judge(maps)
        said = task.say.get(layer)
        if said is not None:
            status = np.where((status == "ok") & (said != ""), said, status)
        results[method.name, layer] = Judged(to_numpy(maps), status)
    return results


def _saliency(images: torch.Tensor, gradient: torch.Tensor | None) -> np.ndarray:
    """(B, H, W); (B, 0, 0) without a gradient."""
    if gradient is None:
        return np.zeros((len(images), 0, 0), np.float32)
    return to_numpy(saliency_of(images, gradient))


def _gathered(
    parts: list[dict[tuple[str, str], Judged]],
    chosen: Sequence[Method],
    layers: list[str],
    relu: bool,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, np.ndarray]]]:
    """Maps and status by method and layer, over all parts of the batch, in forward order."""
    maps: dict[str, dict[str, np.ndarray]] = {}
    status: dict[str, dict[str, np.ndarray]] = {}
    for method in chosen:
        own = [at for at in [*layers, INPUT] if (method.name, at) in parts[0]]
        chunks = {at: [part[method.name, at] for part in parts] for at in own}
        maps[method.name] = {at: np.concatenate([c.maps for c in chunks[at]]) for at in own}
        status[method.name] = {at: np.concatenate([c.status for c in chunks[at]]) for at in own}
        if relu and method.relu:
            for values in maps[method.name].values():
                np.maximum(values, 0, out=values)
    return maps, status


def _check_options(
    chosen: Sequence[Method], options: Mapping[str, Mapping[str, Any]], batch_size: int
) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UserError(f"batch_size is the number of images at once, at least 1, not {batch_size}")
    names = [method.name for method in chosen]
    for name, values in options.items():
        if name not in names:
            raise UserError(f"options for {name!r}, which is not among the methods {names}")
        code = METHODS[name].function.__code__
        known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        if METHODS[name].one_pass:
            known = ()
        for key in values:
            if key not in known:
                there = f"it has {', '.join(known)}" if known else "it has none"
                raise UserError(f"{name} has no option {key!r}; {there}")
