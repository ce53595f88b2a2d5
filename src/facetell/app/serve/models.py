# SPDX-License-Identifier: Apache-2.0
"""Several detectors in one process, within a stated memory.

A detector is loaded when it is first asked for; the ones that were not asked for the longest are
put away to make room. What counts is measured: the bytes of all weights that are loaded, and what
one forward and backward pass of the hungriest of them keeps, since one pass runs at a time.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facetell.app.serve.limits import MEGABYTE
from facetell.app.serve.refusals import Code, Refused
from facetell.app.trained import Trained, known_of
from facetell.common.errors import UserError, printable
from facetell.common.machine import device
from facetell.explain import explain
from facetell.models.detector import Detector


@dataclass(frozen=True)
class Loaded:
    """A detector on its device; ``weights`` and ``working`` memory in bytes."""

    detector: Detector
    weights: int
    working: int


class Models:
    """Detectors by name; only the computing thread may call ``get``.

    Raises
    ------
    UserError : a file is none of ours, two have one name, or one is larger than the memory.
    """

    def __init__(self, files: Sequence[Path], memory: int) -> None:
        self.memory, self._loaded = memory, dict[str, Loaded]()  # least recently used first
        self.known: dict[str, Trained] = {}
        for path in files:
            if (found := known_of(path)) is None:
                raise UserError(f"{printable(path)} is missing, or is no weights file of facetell")
            if found.name in self.known:
                raise UserError(f"two models are called {printable(found.name)}: name one of them")
            if path.stat().st_size > memory:
                raise UserError(
                    f"{printable(path)} is larger than --memory-mb {memory / MEGABYTE:g}"
                )
            self.known[found.name] = found

    def check(self, names: Sequence[str]) -> list[str]:
        """The names, without repetition, or the first model if there are none.

        Raises
        ------
        Refused : there is no model of a name.
        """
        for name in names:
            if name not in self.known:
                raise Refused(
                    Code.UNKNOWN_MODEL,
                    f"There is no model {printable(name)[:100]}; "
                    f"there are {', '.join(self.known)}.",
                )
        return list(dict.fromkeys(names)) or [next(iter(self.known))]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of the weights of each model that is loaded."""
        return {name: loaded.weights for name, loaded in list(self._loaded.items())}

    @property
    def used(self) -> int:
        """Bytes that all that is loaded takes."""
        loaded = list(self._loaded.values())
        return sum(one.weights for one in loaded) + max((one.working for one in loaded), default=0)

    def get(self, name: str) -> Detector:
        """The detector, loaded if need be.

        Raises
        ------
        Refused : it cannot be loaded, or needs more memory than is stated.
        """
        if name in self._loaded:
            self._loaded[name] = self._loaded.pop(name)
            return self._loaded[name].detector
        self._make_room(self.known[name].path.stat().st_size)
        try:
            loaded = measured(Detector.load(self.known[name].path).to(device()))
        except (UserError, OSError) as error:
            print(f"facetell: {error}", file=sys.stderr)
            raise Refused(
                Code.MODEL_UNUSABLE,
                f"The model {name} cannot be loaded; the server's log says why.",
            ) from error
        if (needed := loaded.weights + loaded.working) > self.memory:
            raise Refused(
                Code.NO_MEMORY,
                f"The model {name} needs {needed / MEGABYTE:,.0f} MB, and the server has "
                f"{self.memory / MEGABYTE:,.0f} MB for models.",
            )
        self._loaded[name] = loaded
        self._make_room(0)
        return loaded.detector

    def _make_room(self, needed: int) -> None:
        """Put away what was not used the longest, but never what came last if nothing comes."""
        while len(self._loaded) > (not needed) and self.used + needed > self.memory:
            del self._loaded[next(iter(self._loaded))]


def measured(detector: Detector) -> Loaded:
    """The detector with the memory that it takes; its kernels are warm afterwards."""
    weights = {one.data_ptr(): one.nbytes for one in detector.state_dict().values()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    size = detector.card.image_size
    grey = torch.full((1, 3, size, size), 0.5, device=next(detector.buffers()).device)
    with torch.autograd.graph.saved_tensors_hooks(keep, _same):
        explain(detector, grey, methods="saliency", layers="default")
    return Loaded(detector, sum(weights.values()), sum(kept.values()))


def _same(tensor: Any) -> Any:
    return tensor
