# SPDX-License-Identifier: Apache-2.0
"""Where a detector looks: raw, signed maps of any layer of any network, by many methods.

The package is called like its function, and can be called like it: ``from facetell import explain``
is enough.
"""

import sys
from types import ModuleType
from typing import Any

from facetell.explain.activation.channels import Channels, top_channels
from facetell.explain.activation.maximise import Ascent, Channel, Maximised, maximise
from facetell.explain.engine import defined_methods, explain
from facetell.explain.layers import default_layer, layers, map_layers
from facetell.explain.maps import INPUT, Explanation, enlarge
from facetell.explain.registry import METHODS

__all__ = [
    "INPUT",
    "METHODS",
    "Ascent",
    "Channel",
    "Channels",
    "Explanation",
    "Maximised",
    "default_layer",
    "defined_methods",
    "enlarge",
    "explain",
    "layers",
    "map_layers",
    "maximise",
    "top_channels",
]


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Explanation:
        return explain(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
