# SPDX-License-Identifier: Apache-2.0
"""Whether a network can be trained on images and batches of these sizes: known before it starts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from facetell.common.errors import UserError, brief
from facetell.common.labels import CLASSES
from facetell.images.packed import Packed
from facetell.models.detector import Detector


def check_sets(train_set: Packed, valid_set: Packed, processes: int = 1) -> None:
    """Whether there is something to learn from, and to choose the epoch and the threshold by.

    Raises
    ------
    UserError : a set lacks a class, or ``processes`` are more than the training images.

    >>> from facetell.dataset.demo import packed_demo
    >>> sets = packed_demo("demo")
    >>> check_sets(sets["train"], sets["valid"], processes=17)
    Traceback (most recent call last):
    facetell.common.errors.UserError: processes: 17 cannot share 16 training images; ...
    """
    for name, part in (("training", train_set), ("validation", valid_set)):
        present = set(part.labels.tolist())
        for label, kind in enumerate(CLASSES):
            if label not in present:
                raise UserError(
                    f"there is no {kind} image among the {len(part)} {name} images of {part.path}: "
                    "add some, and run the split and pack stages again"
                )
    if processes > len(train_set):
        raise UserError(
            f"processes: {processes} cannot share {len(train_set)} training images; lower it"
        )


def check_image_size(detector: Detector, size: int) -> None:
    """Put one image of ``size`` px through the detector.

    Raises
    ------
    UserError : the network has no answer for images of that size.

    >>> check_image_size(Detector(torch.nn.AvgPool2d(64), (0.5,) * 3, (0.5,) * 3), 32)
    Traceback (most recent call last):
    facetell.common.errors.UserError: image_size: the network cannot take images of 32 px ...
    """
    try:
        _one_image(detector, size)
    except RuntimeError as error:
        raise UserError(
            f"image_size: the network cannot take images of {size} px ({brief(error)}); set a "
            "larger image_size"
        ) from error


def check_batches(detector: Detector, size: int, batches: Sequence[int]) -> None:
    """``batches`` are the numbers of images that batch norm averages over at a time.

    Raises
    ------
    UserError : one of them is a single image, of which some batch norm has a single value.

    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 32), torch.nn.BatchNorm2d(2))
    >>> detector = Detector(network, (0.5,) * 3, (0.5,) * 3)
    >>> check_batches(detector, 33, [1])  # maps of 2 x 2 px
    >>> check_batches(detector, 32, [2, 1])
    Traceback (most recent call last):
    facetell.common.errors.UserError: batch_size: the batch norm 1 has a single value of one ...
    """
    if min(batches) > 1:
        return
    single: list[str] = []

    def see(name: str) -> Any:
        def look(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0].numel() == inputs[0].shape[1]:
                single.append(name)

        return look

    hooks = [
        module.register_forward_pre_hook(see(name))
        for name, module in detector.network.named_modules()
        if isinstance(module, BatchNorm)
    ]
    try:
        _one_image(detector, size)
    finally:
        for hook in hooks:
            hook.remove()
    if single:
        raise UserError(
            f"batch_size: the batch norm {single[0]} has a single value of one image of {size} px, "
            "and nothing to average in a batch, or micro-batch, of one: set batch_size and "
            "micro_batch so that none is of one image, or a larger image_size"
        )


def _one_image(detector: Detector, size: int) -> None:
    mode = detector.training
    try:
        with torch.no_grad():
            detector.eval()(torch.zeros(1, 3, size, size, device=detector.mean.device))
    finally:
        detector.train(mode)
