# SPDX-License-Identifier: Apache-2.0
"""Every network is built by ``timm.create_model``; ours are registered with timm on import.

A family of networks of ours is one module of ``facetell.models.networks``: a new file is enough.
"""

import importlib
import inspect
import pkgutil
from typing import Any

import timm
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.models import networks
from facetell.models.initialisation import start_branches_at_zero, start_small
from facetell.models.narrowing import narrowed

for _module in pkgutil.iter_modules(networks.__path__):
    importlib.import_module(f"{networks.__name__}.{_module.name}")
OURS = tuple(
    name
    for name in timm.list_models()
    if timm.model_entrypoint(name).__module__.startswith(f"{networks.__name__}.")
)


def build(
    key: str,
    width: float = 1.0,
    image_size: int = 224,
    num_classes: int = 2,
    published: bool = False,
    **options: Any,
) -> nn.Module:
    """Build a network; with random weights it works under ``torch.device("meta")`` too.

    Parameters
    ----------
    key : a name in timm's registry (``resnet50``), ours among them (``sepnet``).
    width : channel multiplier, 1 is the published network; see
        ``facetell.models.narrowing`` for networks that have none of their own.
    image_size : side of the square input in pixels.
    num_classes : number of logits; with 2 they are (real, fake).
    published : start from the weights that timm's hub has, instead of random ones.
    options : further arguments of the network's own, such as ``drop_path_rate``;
        ``zero_init``, which starts its residual branches at zero; and ``batch_norm``, which builds
        the variant with batch norm, where timm has one (``vgg19_bn``).

    Returns
    -------
    nn.Module mapping float images (B, 3, image_size, image_size), already normalised, to
    logits (B, num_classes).

    Raises
    ------
    UserError : unknown key, a width that the network does not take, or no published weights
        within reach.

    >>> import torch
    >>> network = build("simplenet", image_size=64)
    >>> network(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 2])
    >>> "sepnet" in OURS
    True
    """
    if options.pop("batch_norm", False):
        if not timm.is_model(f"{key}_bn"):
            raise UserError(f"batch_norm: timm has no variant of {key} with batch norm")
        key = f"{key}_bn"
    if not timm.is_model(key):
        near = timm.list_models(f"*{key.split('_')[0]}*")[:8]
        raise UserError(
            f"there is no network named {key!r}; ours are {', '.join(OURS)}, and timm has others"
            + (f", among them {', '.join(near)}" if near else "")
        )
    arguments: dict[str, Any] = {"num_classes": num_classes, **options}
    accepted = inspect.signature(timm.model_entrypoint(key)).parameters
    zero_init = "zero_init" not in accepted and arguments.pop("zero_init", False)
    narrow = width != 1.0 and "width" not in accepted
    if "width" in accepted:
        arguments["width"] = width
    if narrow and published:
        raise UserError(f"{key} has published weights at width 1 only (got {width:g})")
    config = timm.get_pretrained_cfg(key)
    if "img_size" in accepted or (config is not None and config.fixed_input_size):
        arguments["img_size"] = image_size
    network = _created(key, published, arguments)
    classifiers = _classifiers(network, num_classes)
    if narrow:
        network = narrowed(network, width, image_size, keep=classifiers)
    if not published or num_classes != _published_classes(network):
        for layer in classifiers:
            start_small(layer)
    if zero_init:
        start_branches_at_zero(network)
    return network


def _created(key: str, published: bool, arguments: dict[str, Any]) -> nn.Module:
    if not published:
        return timm.create_model(key, pretrained=False, **arguments)
    try:
        return timm.create_model(key, pretrained=True, **arguments)
    except UserError:
        raise
    except Exception as error:  # the hub's client raises errors of many libraries
        raise UserError(
            f"the published weights of {key} cannot be fetched ({brief(error)}); "
            "without a network say pretrained: PATH of a file "
            "that you have, or pretrained: false"
        ) from error


def _published_classes(network: nn.Module) -> int | None:
    config: Any = getattr(network, "pretrained_cfg", None) or {}
    return config.get("num_classes")


def _classifiers(network: nn.Module, num_classes: int) -> list[nn.Linear]:
    """The layers whose outputs are the logits: one, or one for each head."""
    heads = [network.get_submodule(name) for name in head_of(network)]
    linear = [[m for m in head.modules() if isinstance(m, nn.Linear)][-1:] for head in heads]
    return [last for layers in linear for last in layers if last.out_features == num_classes]


def head_of(network: nn.Module) -> tuple[str, ...]:
    """Names of the modules that classify: what is trained first, and is new with new classes.

    >>> head_of(build("mobilenetv2_100", image_size=64))
    ('classifier',)
    """
    config: Any = getattr(network, "pretrained_cfg", None) or {}
    name = config.get("classifier") or ()
    return (name,) if isinstance(name, str) else tuple(name)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable and frozen parameters, buffers not counted.

    >>> parameter_count(nn.Linear(10, 2))
    22
    """
    return sum(parameter.numel() for parameter in network.parameters())
