"""Where a detector looks: raw, signed maps of any layer of any network, by many methods."""

from facetell.explain.engine import explain
from facetell.explain.layers import default_layer, layers, map_layers
from facetell.explain.maps import INPUT, Explanation, enlarge, planted_share
from facetell.explain.registry import METHODS

__all__ = [
    "INPUT",
    "METHODS",
    "Explanation",
    "default_layer",
    "enlarge",
    "explain",
    "layers",
    "map_layers",
    "planted_share",
]
