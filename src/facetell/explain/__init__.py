"""Where a detector looks: saliency and Grad-CAM, raw and signed, for every network here."""

from facetell.explain.maps import Maps, explain, layers

__all__ = ["Maps", "explain", "layers"]
