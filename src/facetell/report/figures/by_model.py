# SPDX-License-Identifier: Apache-2.0
"""One photo by several models: what each says of it, and where each looked."""

from collections.abc import Mapping
from textwrap import fill

from facetell.common.figure_style import WIDTH, grid, legible, plt
from facetell.explain.registry import is_signed
from facetell.explain.survey.examples import Example
from facetell.report.figures.maps import (
    CELL,
    MAGNITUDE,
    SIGNED,
    SMALL,
    Figure,
    bands,
    caption,
    caveats,
    colour_strip,
    draw_image,
    draw_map,
    headline,
    map_of,
    probability,
    scale_of,
)

COLUMNS = 5  # cells in a row
STRIP, EDGE = 0.55, 1.5  # inches, of the colour bar, and of title and caption


def models_side_by_side(
    states: Mapping[str, Mapping[str, Example]], method: str, title: str, note: str = ""
) -> Figure:
    """A block for each state of a photo (such as "unchanged" and "blur 2"), with a cell for each
    model.

    ``states`` has by state the example of every model, each with one map of ``method``.
    """
    number = max(len(models) for models in states.values()) + 1
    rows, columns = grid(number, COLUMNS)
    width = max(6.5, min(WIDTH, (CELL + 0.3) * columns))
    high = rows * (width / columns + 0.45)
    figure = plt.figure(figsize=(width, EDGE + STRIP + len(states) * high))
    *blocks, strip = bands(figure, [*[high] * len(states), STRIP])
    for block, (state, models) in zip(blocks, states.items(), strict=True):
        axes = block.subplots(rows, columns, squeeze=False).flat
        draw_image(axes[0], max(models.values(), key=lambda example: len(example.image)))
        axes[0].set_title(fill(legible(state), 24), fontsize=SMALL)
        for axis, (model, example) in zip(axes[1:], models.items(), strict=False):
            (layer,) = example.status[method]
            scale = scale_of([map_of(example, method, layer)], is_signed(method))
            draw_map(axis, example, method, layer, scale)
            said = f"{example.verdict}: {probability(example.score)}"
            axis.set_title(f"{fill(legible(model), 24)}\n{said}", fontsize=SMALL)
        for axis in axes[len(models) + 1 :]:
            axis.set_axis_off()
    signed = is_signed(method)
    words = "speaks for real (< 0) or fake (> 0)" if signed else "how much"
    colour_strip(strip, [(SIGNED if signed else MAGNITUDE, words)])
    headline(figure, title)
    own = "Each map on its own scale: compare places, not colours."
    caption(figure, own, caveats([method]), note)
    return figure
