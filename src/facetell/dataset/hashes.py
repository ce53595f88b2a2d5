# SPDX-License-Identifier: Apache-2.0
"""The perceptual hash by which copies of one picture are looked for.

It is the 256-bit pHash of the imagehash library: signs of the lowest 16 x 16 DCT coefficients
against their median (Zauner 2010).
"""

import imagehash
import numpy as np
from PIL import Image

SIDE = 16  # DCT coefficients per axis: 256 bits
BITS = SIDE * SIDE
FLATTEST = 2.0  # levels of 255: below this contrast a picture has no structure to hash
# a mirror image has the same even coefficients across, and the odd ones negated
MIRROR = np.packbits(np.arange(BITS) % 2 == 1)


def perceptual_hash(image: Image.Image) -> bytes:
    """32 bytes; all zero where the picture is too flat for its structure to mean anything.

    >>> perceptual_hash(Image.new("L", (64, 64))) == bytes(32)
    True
    """
    grey = image.convert("L").resize((64, 64), Image.Resampling.BOX)
    if np.asarray(grey).std() < FLATTEST:
        return bytes(BITS // 8)
    return np.packbits(imagehash.phash(image, hash_size=SIDE).hash).tobytes()
