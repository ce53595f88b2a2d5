# SPDX-License-Identifier: Apache-2.0
"""Weights from a file, into a network of two classes and perhaps another input size."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.models.checkpoints.candidates import (
    Candidate,
    Weights,
    candidates,
    for_training_only,
)
from facetell.models.checkpoints.reading import contents_of
from facetell.models.checkpoints.torchvision_names import timms_names, torchvisions
from facetell.models.factory import head_of

ENOUGH = 0.5  # share of a network's tensors from which on some others may be its weights
FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")  # timm's


@dataclass
class Start:
    """What a network got from a file.

    ``fresh`` are names of the classifier that stay random. ``notes`` say what was chosen in the
    file, and converted. ``left_out`` are names of tensors beside the weights, losses and metrics
    aside.
    """

    fresh: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """The same in one line, empty if there is nothing to say.

        >>> Start(["fc.weight"], ["two logits of one"], ["a", "b", "c", "d"]).in_words()
        'two logits of one; from random ones: fc.weight; left out: a, b, c and 1 more'
        """
        parts = list(self.notes)
        if self.fresh:
            parts.append(f"from random ones: {', '.join(self.fresh)}")
        if self.left_out:
            parts.append(f"left out: {_some(self.left_out)}")
        return "; ".join(parts)


@dataclass
class _Fit:
    """One part of a file, tried on a network; ``problem`` is empty if it fits."""

    candidate: Candidate
    weights: Weights
    start: Start
    problem: str = ""
    found: int = 0


def load_weights(network: nn.Module, path: str | Path) -> Start:
    """Fill ``network`` from a file of the same architecture.

    The file is safetensors or a checkpoint of torch, read without running pickled code. The weights
    may lie under any key, behind any prefix, and beside a loss or an optimiser. torchvision's names
    and older ones, and position embeddings of another input size, are converted. Only the
    classifier may be missing or of another shape: with another number of classes it starts from
    random weights. A single logit, for fake, becomes two: the margin fake - real is that logit.
    Two logits stay in their order, which has to be (real, fake).

    Raises
    ------
    UserError : the file is missing, unreadable, or needs pickled code; no part of it, or more than
        one, are weights of this network. The network is as it was.

    >>> from facetell.models import build
    >>> thousand = build("simplenet", image_size=64, num_classes=1000)
    >>> torch.save({"epoch": 3, "model_state_dict": thousand.state_dict()}, "thousand.pt")
    >>> load_weights(build("simplenet", image_size=64), "thousand.pt").fresh
    ['head.4.weight', 'head.4.bias']
    """
    own = [name for name in network.state_dict() if not for_training_only(name)]
    parts = candidates(contents_of(path), least=int(ENOUGH * len(own)))
    if not parts:
        raise UserError(f"{path} holds no weights by name; save the model's state_dict()")
    tried = [_fit(network, part) for part in parts]
    fitting = [fit for fit in tried if not fit.problem]
    if not fitting:
        best = max(tried, key=lambda fit: fit.found)
        raise UserError(f"{path} does not fit this network: {best.problem}")
    chosen = _only(fitting, path)
    network.load_state_dict(chosen.weights, strict=False)
    return chosen.start


def _only(fitting: list[_Fit], path: str | Path) -> _Fit:
    """Of several that fit: the moving averages, as timm does; else they have to be equal."""
    averaged = [fit for fit in fitting if fit.candidate.averaged]
    chosen, *others = averaged or fitting
    if any(not _equal(chosen.weights, other.weights) for other in others):
        places = [fit.candidate.where or "the file itself" for fit in (averaged or fitting)]
        raise UserError(
            f"{path} holds weights of this network more than once ({'; '.join(places)}): save the "
            "state_dict that you mean in a file of its own"
        )
    if averaged and len(averaged) < len(fitting):
        mine = chosen.candidate
        chosen.start.notes.insert(0, f"the moving average of the weights ({mine.where})")
        copies = tuple(one.candidate.prefix for one in fitting if one.candidate.keys == mine.keys)
        left_out = chosen.start.left_out
        chosen.start.left_out = [name for name in left_out if not name.startswith(copies)]
    return chosen


def _equal(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(
        value is other[name] or torch.equal(value, other[name]) for name, value in one.items()
    )


def _fit(network: nn.Module, candidate: Candidate) -> _Fit:
    fit = _Fit(candidate, {}, Start(left_out=list(candidate.beside)))
    try:
        weights = _converted(network, candidate.weights, fit.start)
    except UserError as error:
        fit.problem, fit.found = str(error), len(candidate.weights)
        return fit
    except Exception as error:  # of functions of timm that meet names they do not expect
        fit.problem = f"its names cannot be converted ({brief(error)})"
        return fit
    own = network.state_dict()
    heads = tuple(f"{name}." for name in head_of(network))
    fit.start.fresh = [
        name for name, value in own.items()
        if name.startswith(heads) and (name not in weights or weights[name].shape != value.shape)
    ]  # fmt: skip
    needed = {name: value for name, value in own.items() if name not in fit.start.fresh}
    fit.weights = {name: weights[name] for name in needed if name in weights}
    fit.found = sum(value.shape == needed[name].shape for name, value in fit.weights.items())
    known = own.keys() | dict(network.named_buffers()).keys()
    surplus = [
        name for name, value in weights.items()
        if name not in known and not name.startswith(heads) and not for_training_only(name)
        and value.ndim
    ]  # fmt: skip
    fit.start.left_out += [name for name in weights if name.startswith(heads) and name not in own]
    fit.problem = _problem(needed, fit.weights, surplus, len(own))
    return fit


def _problem(needed: Weights, given: Weights, surplus: list[str], count: int) -> str:
    # statistics of how many batches were seen: older files lack them, and nothing depends on them
    missing = [name for name in needed if name not in given and not for_training_only(name)]
    wrong = [name for name, value in given.items() if value.shape != needed[name].shape]
    if missing or wrong:
        examples = [f"{name} is missing" for name in missing[:2]] + [
            f"{name} is {tuple(given[name].shape)} instead of {tuple(needed[name].shape)}"
            for name in wrong[:2]
        ]
        return (
            f"{len(missing)} of {count} weights are missing, {len(wrong)} have another shape (such "
            f"as: {'; '.join(examples)}). Is it of another architecture, width or patch size?"
        )
    if surplus:
        return (
            f"it holds {len(surplus)} tensors more than this network has ({_some(surplus)}). "
            "Is it of a deeper network, or of one with further layers?"
        )
    return ""


def _converted(network: nn.Module, weights: Weights, start: Start) -> Weights:
    """Names and shapes as this version of the network has them."""
    weights = dict(weights)
    if name := torchvisions(weights):
        start.notes.append(f"by the names of torchvision's {name}")
        weights = timms_names(weights, name, network)
    if convert := getattr(network, "checkpoint_filter", None):  # a definition of ours
        weights = convert(weights)
    module = sys.modules[type(network).__module__]
    for name in FILTERS:
        if function := getattr(module, name, None):
            weights = function(weights, network) if "checkpoint" in name else function(weights)
    weights = dict(weights)
    own = network.state_dict()
    for head in head_of(network):
        # a classifier that was stacked upon keeps the old one as its first layer
        for kind in ("weight", "bias"):
            if f"{head}.{kind}" in weights and f"{head}.0.{kind}" in own:
                weights[f"{head}.0.{kind}"] = weights.pop(f"{head}.{kind}")
        _two_logits(weights, own, head, start)
    return weights


def _two_logits(weights: Weights, own: Weights, head: str, start: Start) -> None:
    """A logit z for fake becomes (-z / 2, z / 2), so that the margin fake - real is z."""
    single = {
        name: weights[name] for name, value in own.items()
        if name.startswith(f"{head}.") and name in weights
        and value.shape == (2, *weights[name].shape[1:]) and weights[name].shape[:1] == (1,)
    }  # fmt: skip
    for name, value in single.items():
        weights[name] = torch.cat([-value / 2, value / 2])
        bias = f"{name.removesuffix('weight')}bias"
        if bias in own and bias not in weights:  # a logit without one
            weights[bias] = torch.zeros(2)
    if single:
        start.notes.append("its one logit, taken for fake, became two")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if names[3:] else ""
    return f"{', '.join(names[:3])}{more}"
