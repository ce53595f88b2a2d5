# SPDX-License-Identifier: Apache-2.0
"""Pixels as data URIs, and maps in the colours of the figures."""

import base64
import io

import numpy as np
from PIL import Image

from facetell.common.figure_style import plt
from facetell.explain.maps import enlarge
from facetell.report.figures.maps import SEQUENTIAL, scale_of, tinted

QUALITY = 90  # of maps, which are smooth


def png(pixels: np.ndarray) -> str:
    """RGB uint8 (H, W, 3) without loss; a data URI.

    >>> png(np.zeros((4, 4, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    return _uri(pixels, "png", compress_level=1)


def jpeg(pixels: np.ndarray) -> str:
    """RGB uint8 (H, W, 3), colours at full resolution; a data URI."""
    return _uri(pixels, "jpeg", quality=QUALITY, subsampling=0)


def coloured(map_: np.ndarray, image: np.ndarray, signed: bool) -> np.ndarray:
    """A map (h, w) on its own scale, as the figures draw it: RGB uint8 (S, S, 3).

    ``image`` is RGB uint8 (S, S, 3). Signed values tint it, magnitudes stand alone.
    """
    scale = scale_of([map_], signed)
    wide = enlarge(map_, image.shape[0])
    if signed:
        colours = tinted(wide, image, scale)
    else:
        colours = plt.get_cmap(SEQUENTIAL)(scale.norm(wide))[..., :3]
    return np.asarray(colours * 255).round().astype(np.uint8)


def _uri(pixels: np.ndarray, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
