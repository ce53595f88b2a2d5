# SPDX-License-Identifier: Apache-2.0
"""Small pictures by whose pixels two images are compared; 1,024 bytes each where they are kept."""

import numpy as np
from PIL import Image

SIDE = 32  # px


def luma(image: Image.Image) -> np.ndarray:
    """The image as 32 x 32 px, uint8 (1024,): what is worth keeping of it.

    >>> luma(Image.new("RGB", (64, 48), "white")).mean()
    np.float64(255.0)
    """
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def thumbnails(lumas: np.ndarray) -> np.ndarray:
    """What images are compared by: their products are correlations.

    Parameters
    ----------
    lumas : uint8 (N, 1024), of ``luma``.

    Returns
    -------
    float32 (N, 2, 1024), as they are and mirrored, with mean 0 and norm 1; all zero where an image
    has one level only.

    >>> random = np.random.default_rng(0)
    >>> image, mirrored = thumbnails(random.integers(0, 256, (1, 1024), dtype=np.uint8))[0]
    >>> round(float(image @ image), 3), bool(image @ mirrored < 0.2)
    (1.0, True)
    """
    pixels = lumas.astype(np.float32).reshape(-1, SIDE, SIDE)
    # a change of brightness or contrast is no other picture
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=(1, 2), keepdims=True), 1e-6)
    return np.stack([pixels, pixels[:, :, ::-1]], axis=1).reshape(len(pixels), 2, -1)
