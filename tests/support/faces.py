# SPDX-License-Identifier: Apache-2.0
"""Rendered faces, real and fake in turn."""

from functools import cache

from PIL import Image

from facetell.dataset.rendered import RenderedSet, plan, render


@cache
def faces(number: int, size: int) -> list[Image.Image]:
    """So many, of ``size`` px."""
    rows = plan(RenderedSet(seed=0, train=number, valid=0, test=0, singles_per_kind=0))[:number]
    return [Image.fromarray(render(row, seed=0, size=size).after) for row in rows]
