# SPDX-License-Identifier: Apache-2.0
"""Random starts that a short training does not have to undo."""

from torch import nn

from facetell.common.errors import UserError


def start_small(classifier: nn.Linear) -> None:
    """Random weights of half the size that torch draws by default, from the number of inputs.

    Some networks draw them from the number of classes, meant for a thousand: with two, logits
    start so large that most of a short training goes into making them small again.

    >>> layer = nn.Linear(100, 2)
    >>> start_small(layer)
    >>> bool(layer.weight.abs().max() <= 0.05), layer.bias.tolist()
    (True, [0.0, 0.0])
    """
    bound = 0.5 * classifier.in_features**-0.5
    nn.init.uniform_(classifier.weight, -bound, bound)
    if classifier.bias is not None:
        nn.init.zeros_(classifier.bias)


def start_branches_at_zero(network: nn.Module) -> None:
    """Let every residual branch of timm's inverted residuals begin as nothing.

    The last batch norm of a branch starts with weights of zero (Goyal et al., "Accurate, Large
    Minibatch SGD", 2017), so that a deep network begins as a shallow one.

    Raises
    ------
    UserError : the network has no such branches.

    >>> import timm
    >>> network = timm.create_model("mobilenetv2_100")
    >>> start_branches_at_zero(network)
    >>> float(network.blocks[1][1].bn3.weight.detach().abs().max())
    0.0
    """
    branches = [block for block in network.modules() if getattr(block, "has_skip", False)]
    if not branches:
        raise UserError("zero_init: this network has no residual branches to start at zero")
    for block in branches:
        last = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)][-1]
        nn.init.zeros_(last.weight)
