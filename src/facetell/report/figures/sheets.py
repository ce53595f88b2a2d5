# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of many images with one map each, and of one image by many methods."""

from collections.abc import Callable, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.figure_style import WIDTH, grid, legible, plt
from facetell.explain.maps import INPUT
from facetell.explain.registry import is_signed
from facetell.explain.survey.examples import GROUPS, Example
from facetell.report.figures.maps import (
    CELL,
    MAGNITUDE,
    SIGNED,
    SMALL,
    bands,
    bare,
    caption,
    caveats,
    colour_bar,
    colour_strip,
    draw_image,
    draw_map,
    draw_saliency,
    headline,
    layer_of,
    map_of,
    planted_note,
    probability,
    scale_of,
)

METHODS_WIDE = 6  # cells in a row
ONE_SCALE = 95  # percentile, where some images would leave most others pale
STRIP = 0.55  # inches, of the colour bars


def saliency_pairs(examples: Sequence[Example], title: str) -> Figure:
    """Image and saliency side by side, a row per group, each map on its own scale."""
    figure, _ = _pairs(examples, title, draw_saliency)
    caption(
        figure,
        "Saliency: the largest absolute gradient of the margin over the colours, black at 0 and "
        "yellow at the 98th percentile of each map, so brightness is not comparable between "
        "images.",
        planted_note(examples),
    )
    return figure


def gradcam_pairs(examples: Sequence[Example], method: str, layer: str, title: str) -> Figure:
    """Image and map of one method and layer side by side, a row per group, all on one scale."""
    maps = [map_of(example, method, layer) for example in examples]
    scale = scale_of(maps, is_signed(method), ONE_SCALE)
    figure, axes = _pairs(
        examples, title, lambda axis, example: draw_map(axis, example, method, layer, scale)
    )
    name = examples[0].titles.get(method, method) if examples else method
    at = layer_of(examples[0], method, layer) if examples else layer
    meaning = "speaks for real (< 0) or fake (> 0)" if scale.signed else "how much, for any class"
    colour_bar(figure, axes, scale, f"{name} at {at}: {meaning}")
    caption(
        figure,
        f"{name} at {at}, raw values; one scale for all images, so colours are comparable "
        f"(they end at the {ONE_SCALE}th percentile of the sizes).",
        caveats([method]),
        planted_note(examples),
    )
    return figure


def methods_side_by_side(examples: Sequence[Example], layer: str, title: str) -> Figure:
    """One image, or a few, by every method that it has maps of: a cell per method.

    Methods of layers are drawn at ``layer``, the others where they belong, at the input. Each map
    is on its own scale: the units of methods differ.
    """
    methods = list(dict.fromkeys(method for example in examples for method in example.maps))
    methods = [method for method in methods if method != "saliency"]
    rows, columns = grid(len(methods) + 2, METHODS_WIDE)
    width = max(5.0, min(WIDTH, (CELL + 0.2) * columns))
    block_height = rows * (width / columns + 0.42)
    figure = plt.figure(figsize=(width, 1.3 + STRIP + len(examples) * block_height))
    heights = [*[block_height] * len(examples), STRIP]
    *blocks, strip = bands(figure, heights)
    for block, example in zip(blocks, examples, strict=True):
        axes = block.subplots(rows, columns, squeeze=False)
        draw_image(axes.flat[0], example)
        axes.flat[0].set_title(_verdict(example), fontsize=SMALL)
        draw_saliency(axes.flat[1], example)
        axes.flat[1].set_title("saliency", fontsize=SMALL)
        for axis, method in zip(axes.flat[2:], methods, strict=False):
            map_ = map_of(example, method, layer)
            draw_map(
                axis, example, method, layer,
                scale_of([map_], is_signed(method)),
            )  # fmt: skip
            name = example.titles.get(method, method)
            of_input = layer_of(example, method, layer) == INPUT
            starred = of_input and layer != INPUT
            axis.set_title(fill(f"{name}*" if starred else name, 20), fontsize=SMALL)
        for axis in axes.flat[len(methods) + 2 :]:
            axis.set_axis_off()
    bars = [(MAGNITUDE, "how much")]
    if any(is_signed(method) for method in methods):
        bars.insert(0, (SIGNED, "speaks for real (< 0) or fake (> 0)"))
    colour_strip(strip, bars)
    headline(figure, title)
    caption(
        figure,
        "Each map on its own scale: compare places, not colours.",
        f"Maps at {layer}; * of the input." if layer != INPUT else "",
        planted_note(examples),
        caveats(methods),
    )
    return figure


def _verdict(example: Example) -> str:
    """Which image, what it is and what it was taken for."""
    return f"{legible(fill(example.name, 20))}\n{example.group}\n{probability(example.score)}"


def _pairs(
    examples: Sequence[Example], title: str, draw: Callable[[Axes, Example], None]
) -> tuple[Figure, np.ndarray]:
    """The sheet, and its axes; ``draw`` fills the right one of each pair."""
    order = [*GROUPS.values(), "fake", "real"]
    groups = sorted({example.group for example in examples}, key=order.index)
    members = {name: [e for e in examples if e.group == name] for name in groups}
    columns = max((len(found) for found in members.values()), default=1)
    cell = min(1.6, (WIDTH - 1.6) / (2 * columns))
    width = max(5.0, 1.6 + 2 * columns * cell)
    figure, axes = plt.subplots(
        max(1, len(groups)),
        2 * columns,
        figsize=(width, 1.2 + len(groups) * (cell + 0.28)),
        squeeze=False,
    )
    for row, group in enumerate(groups):
        for column in range(columns):
            left, right = axes[row, 2 * column], axes[row, 2 * column + 1]
            if column >= len(members[group]):
                for axis in (left, right):
                    bare(axis)
                    axis.set_visible(False)
                continue
            example = members[group][column]
            draw_image(left, example)
            left.set_title(probability(example.score), fontsize=SMALL)
            draw(right, example)
        axes[row, 0].set_ylabel(group.replace(", ", ",\n"), fontsize=9)
    headline(figure, title)
    return figure, axes
