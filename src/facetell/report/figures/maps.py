# SPDX-License-Identifier: Apache-2.0
"""One map, one cell: how images, saliency and signed maps are drawn, and what is not drawn.

Signed maps are tinted onto the darkened image, white where nothing is said; magnitudes stand
alone. A map whose status is not "ok" is a hatched cell with the status in words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from facetell.common.figure_style import plt
from facetell.explain.maps import INPUT, OK, enlarge
from facetell.explain.registry import METHODS
from facetell.explain.survey.examples import Example

# both in equal steps for the eye, and told apart with any common kind of colour blindness
SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
PLANTED = "#00E5FF"  # outline of what was planted
CELL = 1.3  # inches, the least side of a map at page width
SMALL = 8  # points
COARSE = 128  # px: below it, pixels are drawn as they are, which makes smaller files


@dataclass(frozen=True)
class Scale:
    """What the ends of the colours stand for; ``signed`` has white at 0 and equal ends."""

    low: float
    high: float
    signed: bool

    @property
    def norm(self) -> plt.Normalize:
        """From values to the colours' [0, 1]."""
        return plt.Normalize(self.low, self.high)

    @property
    def colours(self) -> str:
        """Name of the colour map."""
        return DIVERGING if self.signed else SEQUENTIAL


SIGNED = Scale(-1.0, 1.0, signed=True)  # for colour bars of maps that have each their own
MAGNITUDE = Scale(0.0, 1.0, signed=False)


def scale_of(maps: Iterable[np.ndarray | None], signed: bool, percentile: float = 98) -> Scale:
    """One scale for maps of any shapes, to a percentile: a maximum would let a single pixel make
    all others pale. Magnitudes begin at 0, if none is below. None is left out."""
    values = np.concatenate([np.zeros(0), *(np.ravel(map_) for map_ in maps if map_ is not None)])
    values = values[np.isfinite(values)]
    if not values.any():
        return SIGNED if signed else MAGNITUDE
    if signed:
        high = float(np.percentile(np.abs(values), percentile)) or float(np.abs(values).max())
        return Scale(-high, high, signed=True)
    low = min(0.0, float(np.percentile(values, 100 - percentile)))
    high = float(np.percentile(values, percentile))
    return Scale(low, high if high > low else float(values.max()), signed=False)


def map_of(example: Example, method: str, layer: str) -> np.ndarray | None:
    """A method's map at a layer, or its only one if it belongs to the input; None if it has none
    or one that is not to be believed."""
    map_ = example.maps.get(method, {}).get(layer_of(example, method, layer))
    return map_ if status_of(example, method, layer) == OK else None


def layer_of(example: Example, method: str, layer: str) -> str:
    """Where a method's map belongs: to the layer, or to the input if it has no maps of layers."""
    known = {**example.maps.get(method, {}), **example.status.get(method, {})}
    return INPUT if layer not in known and INPUT in known else layer


def status_of(example: Example, method: str, layer: str) -> str:
    """Status of a map; "not defined here" where there is none."""
    own = layer_of(example, method, layer)
    there = own in example.maps.get(method, {})
    said = example.status.get(method, {}).get(own, OK if there else "not defined here")
    if said == OK and not there:
        return "not defined here"
    return said


def draw_image(axis: Axes, example: Example) -> None:
    """The image itself, with the outline of what was planted."""
    bare(axis)
    size = example.image.shape[0]
    axis.imshow(example.image, interpolation=resampling(size))
    outline(axis, example)


def draw_map(axis: Axes, example: Example, method: str, layer: str, scale: Scale) -> None:
    """A map on a scale, hatched with the reason if it is not to be believed."""
    map_ = map_of(example, method, layer)
    if map_ is None:
        hatched(axis, status_of(example, method, layer))
        return
    draw_values(axis, example, map_, scale)


def draw_saliency(axis: Axes, example: Example, scale: Scale | None = None) -> None:
    """Saliency on a scale, else on its own."""
    values = example.saliency
    if not np.isfinite(values).all() or not values.any():
        hatched(axis, "not finite" if not np.isfinite(values).all() else "all zero")
        return
    draw_values(axis, example, values, scale or scale_of([values], signed=False))


def draw_values(axis: Axes, example: Example, map_: np.ndarray, scale: Scale) -> None:
    """Values (h, w) at the image's size: signed ones tint the image, magnitudes stand alone."""
    bare(axis)
    size = example.image.shape[0]
    wide = enlarge(map_, size)
    if scale.signed:
        axis.imshow(tinted(wide, example.image, scale), interpolation=resampling(size))
    else:
        axis.imshow(wide, cmap=SEQUENTIAL, norm=scale.norm, interpolation=resampling(size))
    outline(axis, example)


def tinted(wide: np.ndarray, image: np.ndarray, scale: Scale) -> np.ndarray:
    """Signed values (S, S) as colours over the darkened image, uint8 (S, S, 3): RGB in [0, 1]."""
    colours = plt.get_cmap(DIVERGING)(scale.norm(wide))[..., :3]
    grey = image.mean(axis=2, keepdims=True) / 255
    return np.asarray(colours * (0.45 + 0.55 * grey))


def resampling(size: int) -> str:
    """How an image of this side is brought to the figure's resolution."""
    return "nearest" if size <= COARSE else "antialiased"


def hatched(axis: Axes, words: str) -> None:
    """A cell without a picture, and the reason."""
    bare(axis)
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.set_facecolor("0.88")
    axis.patch.set(hatch="///", edgecolor="0.7", linewidth=0)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axis.text(0.5, 0.5, fill(words, 12), ha="center", va="center", fontsize=SMALL, bbox=box)


def outline(axis: Axes, example: Example) -> None:
    """Mark where artefacts were planted, if that is known."""
    if example.mask is not None and example.mask.any():
        if example.mask.all():
            return
        axis.contour(example.mask, levels=[0.5], colors="black", linewidths=1.8)
        axis.contour(example.mask, levels=[0.5], colors=PLANTED, linewidths=0.9)


def bare(axis: Axes) -> None:
    """No ticks, no grid, no frame."""
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def words(method: str, layer: str = INPUT) -> str:
    """A method's name in words, with the layer unless it is the input."""
    name = METHODS[method].title if method in METHODS else method
    return name if layer == INPUT else f"{name} at {layer}"


def probability(score: float) -> str:
    """P(fake) in words that never claim certainty: "P(fake) 0.93", "P(fake) > 0.99"."""
    if score > 0.99:
        return "P(fake) > 0.99"
    return "P(fake) < 0.01" if score < 0.01 else f"P(fake) {score:.2f}"


def colour_bar(figure: Figure, axes: np.ndarray, scale: Scale, label: str) -> None:
    """A colour bar beside ``axes``, with numbers: for maps on one scale."""
    shown = plt.cm.ScalarMappable(norm=scale.norm, cmap=scale.colours)
    bar = figure.colorbar(
        shown, ax=list(axes.flat), shrink=0.7, aspect=30, pad=0.015,
        extend="both" if scale.signed else "max",
    )  # fmt: skip
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def bands(figure: Figure, heights: Sequence[float]) -> list[SubFigure]:
    """The figure cut into bands from top to bottom, of so many inches each."""
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    return list(np.asarray(parts)[:, 0])


def colour_strip(part: SubFigure, bars: Sequence[tuple[Scale, str]]) -> None:
    """Lying colour bars without numbers: for maps that have each their own scale."""
    axes = part.subplots(1, len(bars), squeeze=False)[0]
    for axis, (scale, label) in zip(axes, bars, strict=True):
        shown = plt.cm.ScalarMappable(norm=scale.norm, cmap=scale.colours)
        bar = part.colorbar(shown, cax=axis, orientation="horizontal")
        bar.set_label(label, fontsize=SMALL)
        ends = ["-max", "0", "max"] if scale.signed else ["least", "most"]
        bar.set_ticks(np.linspace(scale.low, scale.high, len(ends)).tolist(), labels=ends)
        axis.tick_params(labelsize=SMALL)


def caption(figure: Figure, *sentences: str) -> None:
    """What a reader must know, below the figure, in lines as wide as it is."""
    width = int(figure.get_figwidth() * 15.5)
    text = " ".join(sentence for sentence in sentences if sentence)
    figure.supxlabel(fill(text, width), fontsize=SMALL, x=0.01, ha="left")


def planted_note(examples: Iterable[Example]) -> str:
    """The sentence about outlines, if there are any."""
    known = any(example.mask is not None and example.mask.any() for example in examples)
    return "Outlined in cyan: where artefacts were planted." if known else ""


def caveats(methods: Iterable[str]) -> str:
    """What a reader must be told of some of the methods, each sentence once."""
    sentences = [METHODS[method].caveat for method in methods if method in METHODS]
    return " ".join(dict.fromkeys(filter(None, sentences)))


def headline(figure: Figure, title: str) -> None:
    """The figure's title, in lines as wide as the figure."""
    width = int(figure.get_figwidth() * 10)
    figure.suptitle("\n".join(fill(line, width) for line in title.splitlines()), fontsize=11)
