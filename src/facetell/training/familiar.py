# SPDX-License-Identifier: Apache-2.0
"""What the validation images look like, which goes into a detector's card."""

from typing import Any

import numpy as np

from facetell.images.decoding import decode_inspected
from facetell.images.familiarity import MOST, Familiarity
from facetell.images.loading import fit
from facetell.images.packed import Packed


def familiar(valid: Packed, size: int) -> dict[str, Any]:
    """For ``Card.familiar``: at most ``MOST`` of the images, spread evenly, as a network of this
    input size sees them.

    >>> from facetell.dataset.demo import packed_demo
    >>> familiar(packed_demo("demo")["valid"], 64)  # too few to say anything
    {}
    """
    rows = np.unique(np.linspace(0, len(valid) - 1, min(MOST, len(valid))).round().astype(int))
    pixels = (decode_inspected(valid.image(int(row))) for row in rows)
    sizes, seen = [], []
    for one in pixels:
        sizes.append((one.shape[1], one.shape[0]))
        seen.append(fit(one, size).numpy())
    found = Familiarity.fit(sizes, seen)
    return {} if found is None else found.stored()
