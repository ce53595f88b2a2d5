# SPDX-License-Identifier: Apache-2.0
"""Where in a checkpoint a network's weights may lie: under which keys and behind which prefix."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

Weights = dict[str, torch.Tensor]
DEPTH = 3  # mappings within mappings
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
TRAINING = re.compile(
    r"criteri|loss|metric|accuracy|optim|^AuxLogits$|(^|_)(acc|auc|auroc|f1|ap)(_|$)"
)
AVERAGED = re.compile(r"(^|[^a-z])(ema|swa)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """Some tensors of a checkpoint.

    ``keys`` lead to the mapping that holds them, and ``prefix`` was taken off their names;
    ``weights`` have the remaining names. ``beside`` are names next to the prefix, those of losses
    and metrics left out.
    """

    keys: tuple[str, ...]
    prefix: str
    weights: Weights
    beside: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """In words; empty: the file as it is.

        >>> Candidate(("state_dict",), "model.", {}).where
        'state_dict, model.'
        """
        return ", ".join(filter(None, (*self.keys, self.prefix)))

    @property
    def averaged(self) -> bool:
        """Whether these are moving averages of weights, which training scripts evaluate.

        >>> Candidate(("state_dict_ema",), "", {}).averaged, Candidate((), "schema.", {}).averaged
        (True, False)
        """
        return bool(AVERAGED.search(self.where))


def candidates(contents: Mapping[str, Any], least: int) -> list[Candidate]:
    """All parts of a checkpoint with at least ``least`` tensors, and the largest in any case.

    Keys and prefixes of losses, metrics and optimisers are left out. What wraps modules in torch
    (``module.``, ``_orig_mod.``) is taken out of the names wherever it stands.

    >>> weights = {"model.fc.weight": torch.zeros(2, 3), "criterion.weight": torch.zeros(2)}
    >>> found = candidates({"epoch": 1, "state_dict": weights}, least=1)
    >>> [(one.where, list(one.weights)) for one in found]  # doctest: +NORMALIZE_WHITESPACE
    [('state_dict', ['model.fc.weight', 'criterion.weight']),
     ('state_dict, model.', ['fc.weight']), ('state_dict, model.fc.', ['weight'])]
    """
    mappings = list(_mappings(contents))
    found = [
        _candidate(keys, prefix, weights)
        for keys, weights in mappings
        for prefix in _prefixes(weights, least)
    ]
    if not found and mappings:
        keys, weights = max(mappings, key=lambda one: len(one[1]))
        found = [_candidate(keys, "", weights)]
    return found


def for_training_only(name: str) -> bool:
    """Whether a tensor belongs to a loss or a metric, or counts something.

    >>> for_training_only("criterion.weight"), for_training_only("layer1.0.conv1.weight")
    (True, False)
    """
    first, _, _ = name.partition(".")
    return bool(TRAINING.search(first)) or name.endswith("num_batches_tracked")


def _mappings(contents: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[Any]:
    """(keys, tensors by name) of each mapping that has any."""
    named = {name: value for name, value in contents.items() if isinstance(name, str)}
    if weights := {n: v for n, v in named.items() if isinstance(v, torch.Tensor)}:
        yield keys, weights
    for name, value in named.items():
        if isinstance(value, Mapping) and len(keys) < DEPTH and not TRAINING.search(name):
            yield from _mappings(value, (*keys, name))


def _prefixes(weights: Weights, least: int) -> list[str]:
    """Beginnings, of at least so many names, that end with a dot; before them the empty one."""
    counts = Counter(name[: dot.end()] for name in weights for dot in re.finditer(r"\.", name))
    counts[""] = len(weights)
    return sorted(
        (
            prefix for prefix, count in counts.items()
            if count >= least and not any(map(TRAINING.search, prefix.split(".")))
        ),
        key=len,
    )  # fmt: skip


def _candidate(keys: tuple[str, ...], prefix: str, weights: Weights) -> Candidate:
    inside = {n.removeprefix(prefix): v for n, v in weights.items() if n.startswith(prefix)}
    beside = [
        name for name, value in weights.items()
        if not name.startswith(prefix) and value.ndim and not for_training_only(name)
    ]  # fmt: skip
    return Candidate(keys, prefix, _unwrapped(inside), tuple(beside))


def _unwrapped(weights: Weights) -> Weights:
    names = {
        name: ".".join(part for part in name.split(".") if part not in WRAPPERS)
        for name in weights
    }  # fmt: skip
    if len(set(names.values())) < len(names):  # then they are told apart by what looks like one
        return weights
    return {names[name]: value for name, value in weights.items()}
