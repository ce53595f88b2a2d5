# SPDX-License-Identifier: Apache-2.0
"""Every layer of one image, clean and after it was perturbed."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure, SubFigure

from facetell.common.figure_style import TALLEST, WIDTH, legible, plt
from facetell.explain.registry import is_signed
from facetell.explain.survey.examples import Example
from facetell.report.figures.maps import (
    MAGNITUDE,
    SIGNED,
    SMALL,
    bands,
    caption,
    caveats,
    colour_strip,
    draw_image,
    draw_map,
    draw_saliency,
    headline,
    map_of,
    planted_note,
    probability,
    scale_of,
)

MAPS_WIDE = (6, 11)  # maps in a row beside the image: as few as fit a page, below the second
EDGE = 1.3  # inches, for title and caption
LABEL, STRIP = 1.1, 0.55  # inches, of the rows' labels and of the colour bars
FAINT = 0.25  # of the scale: what stays below it is marked
SALIENCY = None  # the column that is no layer


def every_layer(
    rows: Sequence[Example], method: str, title: str, *, one_scale: bool = True
) -> Figure:
    """A row for each state of an image (``name``: clean, blur 1 px), a column for each layer.

    The last column is the saliency. Columns are wrapped into blocks that repeat the image, and of
    more layers than a page holds, some are left out evenly, which the caption says. With
    ``one_scale`` the maps of a column share theirs: what fades by the perturbation is seen to
    fade; without, each has its own, so that weak ones are seen too. Their sizes stand below.
    """
    layers = list(rows[0].status[method])
    shown, blocks, wide = _fitted(layers, len(rows))
    columns: list[str | None] = [*shown, SALIENCY]
    cell, high = _sizes(wide, len(rows))
    width = max(5.0, LABEL + cell * (wide + 1))
    figure = plt.figure(figsize=(width, EDGE + STRIP + blocks * high))
    heights = [*[high] * blocks, STRIP]
    *parts, strip = bands(figure, heights)
    for index, part in enumerate(parts):
        _block(part, rows, method, columns[index * wide : (index + 1) * wide], wide, one_scale)
    signed = is_signed(method)
    name = rows[0].titles.get(method, method)
    bars = [(SIGNED, f"{name}: speaks for real (< 0) or fake (> 0)"), (MAGNITUDE, "saliency")]
    colour_strip(strip, bars if signed else [(MAGNITUDE, f"{name}, saliency")])
    headline(figure, title)
    chosen = "" if len(shown) == len(layers) else f" ({len(shown)} of {len(layers)} layers)"
    caption(
        figure,
        f"{name} by layer{chosen}, and the saliency.",
        SCALES[one_scale and len(rows) > 1],
        planted_note(rows),
        caveats([method]),
    )
    return figure


SCALES = {  # by whether the maps of a column share one
    True: "Each column has a scale of its own: colours are comparable down a column, not between "
    "columns (max: 98th percentile of the sizes). Numbers: size of a map that is below a quarter "
    "of its column's scale.",
    False: "Each map has a scale of its own: compare places, not colours (max: 98th percentile of "
    "the sizes).",
}


def _fitted(layers: list[str], rows: int) -> tuple[list[str], int, int]:
    """The layers that fit a page, in how many blocks, and how many columns each has."""
    room = TALLEST - EDGE - STRIP
    for widest in range(*MAPS_WIDE):
        blocks = -(-(len(layers) + 1) // widest)
        wide = -(-(len(layers) + 1) // blocks)
        if blocks * _sizes(wide, rows)[1] <= room:
            return layers, blocks, wide
    blocks = max(1, int(room // _sizes(widest, rows)[1]))
    kept = np.linspace(0, len(layers) - 1, blocks * widest - 1).round().astype(int)
    return [layers[index] for index in kept], blocks, widest


def _sizes(wide: int, rows: int) -> tuple[float, float]:
    """Side of a cell and height of a block, inches."""
    cell = min(1.5, (WIDTH - LABEL) / (wide + 1))
    return cell, rows * (cell + 0.04) + 0.35


def _block(
    part: SubFigure,
    rows: Sequence[Example],
    method: str,
    columns: list[str | None],
    wide: int,
    one_scale: bool,
) -> None:
    """Some of the columns, with the image on the left."""
    axes = part.subplots(len(rows), wide + 1, squeeze=False)
    for row, example in enumerate(rows):
        draw_image(axes[row, 0], example)
        said = f"{legible(fill(example.name, 16))}\n{example.group}\n{probability(example.score)}"
        axes[row, 0].set_ylabel(
            said, fontsize=SMALL, rotation=0, ha="right", va="center", labelpad=4
        )
    for column, layer in enumerate(columns, start=1):
        _column(axes[:, column], rows, method, layer, one_scale)
        name = "saliency" if layer is SALIENCY else wrapped(layer, int(13 * _sizes(wide, 1)[0]))
        axes[0, column].set_title(name, fontsize=SMALL)
    for axis in axes[:, len(columns) + 1 :].flat:
        axis.set_axis_off()


def _column(
    axes: np.ndarray, rows: Sequence[Example], method: str, layer: str | None, one_scale: bool
) -> None:
    """All states of one layer's map."""
    saliency = layer is SALIENCY
    signed = not saliency and is_signed(method)
    maps = [e.saliency if layer is None else map_of(e, method, layer) for e in rows]
    common = scale_of(maps, signed)
    for axis, example, map_ in zip(axes, rows, maps, strict=True):
        own = scale_of([map_], signed)
        scale = common if one_scale else own
        if layer is None:
            draw_saliency(axis, example, scale)
        else:
            draw_map(axis, example, method, layer, scale)
        share = own.high / common.high
        if one_scale and map_ is not None and share < FAINT:
            said = f"{share:.0%}" if share >= 0.01 else "< 1%"
            axis.text(
                0.96, 0.04, said, transform=axis.transAxes, fontsize=7, ha="right", va="bottom",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
            )  # fmt: skip


def wrapped(layer: str, width: int) -> str:
    """A layer's name in lines of at most ``width``, broken at its dots."""
    lines = [""]
    for piece in layer.replace(".", ".\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
