# SPDX-License-Identifier: Apache-2.0
"""What single channels respond to: activation maps of examples, and images that maximise scores."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.figure_style import TALLEST, WIDTH, grid, plt
from facetell.explain.activation.channels import Channels
from facetell.explain.activation.maximise import Ascent, Channel, Maximised, Target
from facetell.explain.survey.examples import Example
from facetell.report.figures.layers import wrapped
from facetell.report.figures.maps import (
    MAGNITUDE,
    SIGNED,
    SMALL,
    bands,
    bare,
    caption,
    colour_strip,
    draw_image,
    draw_values,
    headline,
    planted_note,
    probability,
    resampling,
    scale_of,
)

STRIP = 0.55  # inches, of the colour bars
LABEL = 1.1  # inches, of the rows' labels
EDGE, ABOVE = 1.6, 0.28  # inches, for title and caption, and above each row
IN_A_ROW = 5  # maximised images


def activations(shown: Sequence[tuple[Example, Sequence[Channels]]], title: str) -> Figure:
    """The most active channels of a few layers, a band per image and a row per layer.

    ``shown`` pairs an image with the channels of each layer, whose arrays hold that image alone.
    Each map is on its own scale: how strong a channel is, its share says.
    """
    columns = 1 + max(own.maps.shape[1] for _, layers in shown for own in layers)
    rows = sum(len(layers) for _, layers in shown)
    fits = (TALLEST - EDGE - STRIP) / rows - ABOVE
    cell = min(1.35, (WIDTH - LABEL) / columns, fits)
    heights = [len(layers) * (cell + ABOVE) for _, layers in shown]
    width = max(5.0, LABEL + cell * columns)
    figure = plt.figure(figsize=(width, sum(heights) + STRIP + EDGE))
    *parts, strip = bands(figure, [*heights, STRIP])
    for part, (example, layers) in zip(parts, shown, strict=True):
        axes = part.subplots(len(layers), columns, squeeze=False)
        for row, own in zip(axes, layers, strict=True):
            _channels(row[1:], example, own)
            bare(row[0])
            name = wrapped(own.layer, 14)
            row[0].set_ylabel(name, fontsize=SMALL, rotation=0, ha="right", va="center", labelpad=4)
        draw_image(axes[0, 0], example)
        said = f"{example.group}\n{probability(example.score)}"
        axes[0, 0].set_title(said, fontsize=SMALL)
    signed = any((own.maps < 0).any() for _, layers in shown for own in layers)
    bars = [(MAGNITUDE, "activation of a channel that is nowhere below 0")]
    if signed:
        bars.append((SIGNED, "activation of a channel with values below 0, on the image"))
    colour_strip(strip, bars)
    headline(figure, title)
    caption(
        figure,
        "Left the image, then the most active channels (ch.) of some layers, each on its own "
        "scale. Above each: its number, and its share of the layer's whole activation (the sum of "
        "absolute values over all channels). An active channel need not matter for the verdict.",
        planted_note([example for example, _ in shown]),
    )
    return figure


def maximised(
    found: Maximised, targets: Mapping[str, Target], ascent: Ascent, seed: int, title: str
) -> Figure:
    """The images that raise each target most, with what they raise it from and to.

    ``targets`` are those of ``found`` in their order, by what a reader calls them.
    """
    rows, columns = grid(len(targets) + 1, IN_A_ROW)
    cell = min(1.7, WIDTH / columns)
    figure, axes = plt.subplots(
        rows, columns, squeeze=False,
        figsize=(max(5.0, cell * columns), rows * (cell + 0.4) + 1.3),
    )  # fmt: skip
    _picture(axes.flat[0], found.start, "start")
    numbers = zip(found.before, found.after, strict=True)
    pairs = zip(targets.items(), found.images, numbers, strict=True)
    for axis, ((name, target), image, (before, after)) in zip(axes.flat[1:], pairs, strict=False):
        # the score of real is the negative margin: every number here is that of the caption
        sign = -1 if target == "real" else 1
        _picture(axis, image, f"{name}\n{sign * before:.2f} to {sign * after:.2f}")
    for axis in axes.flat[len(targets) + 1 :]:
        axis.set_axis_off()
    headline(figure, title)
    channels = any(isinstance(target, Channel) for target in targets.values())
    caption(
        figure,
        f"Activation maximisation: {ascent.steps} steps of gradient ascent on the pixels, from the "
        f"same grey start (seed {seed}), with jitter, blur and a penalty on total variation. Below "
        "each name the margin (fake logit - real logit)"
        + (", for a channel its mean activation," if channels else "")
        + " before and after. These are patterns that move the network, not faces that it saw.",
    )
    return figure


def _channels(axes: np.ndarray, example: Example, own: Channels) -> None:
    """The maps of one layer's channels; what remains of the row is empty."""
    maps, indices, shares = own.maps[0], own.indices[0], own.shares[0]
    for axis, map_, index, share in zip(axes, maps, indices, shares, strict=False):
        draw_values(axis, example, map_, scale_of([map_], signed=bool((map_ < 0).any())))
        axis.set_title(f"ch. {index}: {share:.1%}", fontsize=SMALL)
    for axis in axes[len(maps) :]:
        axis.set_axis_off()


def _picture(axis: Axes, image: np.ndarray, words: str) -> None:
    bare(axis)
    axis.imshow(image.transpose(1, 2, 0), interpolation=resampling(image.shape[-1]))
    axis.set_title(words, fontsize=SMALL)
