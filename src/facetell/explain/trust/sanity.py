# SPDX-License-Identifier: Apache-2.0
"""Does a map depend on what the network has learnt? Parameter randomisation, from the logits down.

Adebayo et al., "Sanity Checks for Saliency Maps" (NeurIPS 2018), the cascading randomisation: the
head is drawn anew, then also the block before it, and so on. A map that stays alike shows the
picture, not the network.
"""

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from skimage.metrics import structural_similarity
from torch import nn

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of

WINDOW = 7  # cells on a side, for SSIM; odd, as every window of SSIM


def stages(model: nn.Module) -> list[str]:
    """Parts of a model that hold parameters, from the logits down, as in ``named_modules()``.

    Containers of one part only and sequences are opened, blocks are not. The order is the reverse
    of the definition's, which is the forward order in all of our networks.
    """
    names = list(_parts(model, ""))
    if not names:
        raise UserError(f"{type(model).__name__} has no parameters that could be randomised")
    return names[::-1]


def cascade(
    model: nn.Module, *, stops: Sequence[str] | None = None, seed: int
) -> Iterator[tuple[str, nn.Module]]:
    """A copy of ``model`` with ever more of its ``stages`` drawn anew, from the logits down: pairs
    of a stage's name and the copy.

    With ``stops`` only these stages are returned, though all are drawn anew on the way. The same
    copy is changed further in each step, so use it before taking the next. ``model`` itself is left
    as it was, and so is torch's random state. Weights that belong to no stage (a position
    embedding, say) are redrawn in the last step.

    Raises
    ------
    UserError : there is no such stage.
    """
    names = stages(model)
    for name in stops or ():
        if name not in names:
            raise UserError(f"there is no part {name!r} to randomise; there are {', '.join(names)}")
    changed = copy.deepcopy(model)
    drawn = copy.deepcopy(model).cpu()  # the processor's draws are the same on every machine
    covered: set[int] = set()
    for step, name in enumerate(names):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "randomised", name))
            _redraw(drawn.get_submodule(name), covered)
            if step == len(names) - 1:
                _redraw(drawn, covered)
        if stops is None or name in stops:
            changed.load_state_dict(drawn.state_dict())
            yield name, changed


def rank_correlation(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Spearman's correlation of the pixels of each pair of maps (B, h, w), (B,) in [-1, 1].

    NaN where one of the two is constant: it has no ranks to compare.
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (before, after)]
    one, other = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    norm = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    undefined = np.full(len(norm), np.nan)
    return np.divide((one * other).sum(axis=1), norm, out=undefined, where=norm > 0)


def similarity(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """SSIM (Wang et al. 2004) of each pair of maps (B, h, w) in uniform windows, (B,).

    Each map is divided by its largest absolute value, as the scale of maps means nothing; the
    range is 2. Maps smaller than the window are compared in the largest odd one that fits them; NaN
    where none does, below 3 cells on a side.

    >>> ramp = np.linspace(-1, 1, 64).reshape(1, 8, 8)
    >>> similarity(ramp, 3 * ramp).round(6).tolist()
    [1.0]
    """
    side = min(WINDOW, *before.shape[1:])
    if side < 3:
        return np.full(len(before), np.nan)
    settings = {"win_size": side - 1 + side % 2, "data_range": 2.0, "use_sample_covariance": False}
    pairs = zip(_scaled(before), _scaled(after), strict=True)
    return np.array([structural_similarity(one, other, **settings) for one, other in pairs])


def compare(before: np.ndarray, after: np.ndarray) -> dict[str, np.ndarray]:
    """How alike maps (B, h, w) are before and after, each (B,): ``spearman`` of the signed maps,
    ``spearman_absolute`` of their absolute values, ``ssim``."""
    return {
        "spearman": rank_correlation(before, after),
        "spearman_absolute": rank_correlation(np.abs(before), np.abs(after)),
        "ssim": similarity(before, after),
    }


def _parts(module: nn.Module, name: str) -> Iterator[str]:
    inner = [
        (f"{name}.{child}" if name else child, part)
        for child, part in module.named_children()
        if any(True for _ in part.parameters())
    ]
    opened = not name or len(inner) == 1 or isinstance(module, nn.Sequential | nn.ModuleList)
    if not opened or not inner:
        if name:
            yield name
        return
    if len(inner) == 1 and not isinstance(module, nn.Sequential | nn.ModuleList):
        # such as a detector around its network, whose parts are the ones that count
        only, part = inner[0]
        children = [
            (f"{only}.{child}", grand)
            for child, grand in part.named_children()
            if any(True for _ in grand.parameters())
        ]
        if children and not any(True for _ in module.parameters(recurse=False)):
            for child, grand in children:
                yield from _parts(grand, child)
            return
    for child, part in inner:
        yield from _parts(part, child)


def _redraw(module: nn.Module, covered: set[int]) -> None:
    """Draw anew every parameter that is not ``covered`` yet.

    By the layer's own ``reset_parameters`` where it has one; other parameters (embeddings,
    scales) have their values shuffled, which keeps their distribution and loses their order.
    """
    for part in module.modules():
        own = [value for value in part.parameters(recurse=False) if id(value) not in covered]
        if not own:
            continue
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
        else:
            for value in own:
                flat = value.data.flatten()
                order = torch.randperm(flat.numel())
                value.data.copy_(flat[order].view_as(value))
        covered.update(id(value) for value in own)


def _scaled(maps: np.ndarray) -> np.ndarray:
    values = maps.astype(np.float64)
    largest = np.abs(values).max(axis=(1, 2), keepdims=True)
    return np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
