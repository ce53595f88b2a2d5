# SPDX-License-Identifier: Apache-2.0
"""Networks of torchvision that stand for published weights: random, but with no tensor idle."""

import torch
from torch import nn
from torchvision import models


def torchvisions_own(name: str, seed: int = 0, **options) -> nn.Module:
    """In evaluation mode, with logits of about 1.

    Each tensor matters for the outputs: those that start as zero, one or almost nothing (biases,
    statistics of batch norm, layer scales, tokens) are random, too.
    """
    torch.manual_seed(seed)
    with torch.device("meta"):
        network = models.get_model(name, weights=None, **options)
    buffers = models.get_model(name, weights=None, **options).state_dict() if "swin" in name else {}
    network.to_empty(device="cpu")
    own = network.state_dict()
    with torch.no_grad():
        for key, value in own.items():
            if key.endswith(("relative_position_index", "relative_coords_table")):
                value.copy_(buffers[key])
            elif not key.endswith("num_batches_tracked"):
                _randomise(key, value)
        if norms := [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]:
            for norm in norms:
                norm.momentum = 1.0
            network(torch.randn(4, 3, 64, 64))  # in training mode: statistics of real activations
    return network.eval()


def _randomise(key: str, value: torch.Tensor) -> None:
    if key.endswith("logit_scale"):
        value.uniform_(1, 3)
    elif key.endswith(("running_var", "layer_scale")) or (
        key.endswith("weight") and value.ndim == 1
    ):
        value.uniform_(0.5, 1.5)
    elif value.ndim == 1:
        value.normal_(0, 0.1)
    elif key.endswith(("bias_table", "token", "embedding")):
        value.normal_()
    else:
        fan_in = value[0].numel()
        value.normal_(0, (1.5 / fan_in) ** 0.5)
