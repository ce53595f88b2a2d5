"""Contact sheets of explanations: saliency pairs, Grad-CAM of hits and misses, class means."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.explain.maps import enlarge
from facetell.explain.survey import Example
from facetell.figures.style import plt

SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
ABSENT = "no such image"


def saliency_pairs(examples: list[Example], title: str) -> Figure:
    """Image and saliency side by side, a row per group."""
    figure = _sheet(examples, title, _draw_saliency)
    figure.supxlabel(
        "saliency: largest absolute gradient of the margin over the colours, each map scaled to "
        "its own 99th percentile (brightness is not comparable between images)",
        fontsize=8,
    )
    return figure


def gradcam_pairs(examples: list[Example], title: str) -> Figure:
    """Image and signed Grad-CAM on one scale, a row per group."""
    # not the maximum: a single image would leave all the others pale
    limit = float(np.percentile(np.concatenate([abs(e.cam).ravel() for e in examples]), 98)) or 1.0

    def draw(axis: Axes, example: Example) -> None:
        grey = example.image.mean(axis=2)
        axis.imshow(grey, cmap="gray", vmin=0, vmax=255)
        map_ = enlarge(example.cam, grey.shape[0])
        axis.imshow(map_, cmap=DIVERGING, vmin=-limit, vmax=limit, alpha=0.6)
        _outline(axis, example)

    figure = _sheet(examples, title, draw)
    bar = plt.cm.ScalarMappable(cmap=DIVERGING, norm=plt.Normalize(-limit, limit))
    figure.colorbar(bar, ax=figure.axes, shrink=0.6, aspect=40, pad=0.01, extend="both").set_label(
        "Grad-CAM of the margin: speaks for real (< 0) or fake (> 0)\n"
        "one scale for all images, to the 98th percentile",
        fontsize=8,
    )
    return figure


def class_means(means: dict[str, np.ndarray], counts: dict[str, int], title: str) -> Figure:
    """Mean saliency of real and of fake test images, and their difference.

    ``means`` and ``counts`` have the keys real and fake; maps (S, S).
    """
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
    top = max(map_.max() for map_ in means.values()) or 1.0
    for axis, name in zip(axes, ("real", "fake"), strict=False):
        shown = axis.imshow(means[name], cmap=SEQUENTIAL, vmin=0, vmax=top)
        axis.set_title(f"mean of {name} (n = {counts[name]})", fontsize=10)
    figure.colorbar(shown, ax=axes[:2], shrink=0.8).set_label("|d margin / d pixel|", fontsize=9)
    difference = means["fake"] - means["real"]
    limit = np.abs(difference).max() or 1.0
    shown = axes[2].imshow(difference, cmap=DIVERGING, vmin=-limit, vmax=limit)
    axes[2].set_title("fake - real", fontsize=10)
    figure.colorbar(shown, ax=axes[2], shrink=0.8)
    for axis in axes:
        _bare(axis)
    figure.suptitle(title, fontsize=11)
    return figure


def _sheet(examples: list[Example], title: str, draw) -> Figure:  # type: ignore[no-untyped-def]
    groups = list(dict.fromkeys(example.group for example in examples))
    columns = max(sum(e.group == group for e in examples) for group in groups)
    figure, axes = plt.subplots(
        len(groups),
        2 * columns,
        figsize=(2.3 * columns + 0.8, 1.55 * len(groups) + 0.7),
        squeeze=False,
    )
    for row, group in enumerate(groups):
        members = [example for example in examples if example.group == group]
        for column in range(columns):
            left, right = axes[row, 2 * column], axes[row, 2 * column + 1]
            _bare(left)
            _bare(right)
            if column >= len(members):
                left.set_visible(False)
                right.set_visible(False)
                continue
            left.imshow(members[column].image)
            left.set_title(f"P(fake) {members[column].score:.2f}", fontsize=8)
            _outline(left, members[column])
            draw(right, members[column])
        axes[row, 0].set_ylabel(group, fontsize=9)
    outlined = any(example.mask is not None for example in examples)
    note = "; outlined: what was planted" if outlined else ""
    figure.suptitle(title + note, fontsize=11)
    return figure


def _draw_saliency(axis: Axes, example: Example) -> None:
    top = np.percentile(example.saliency, 99) or 1.0
    axis.imshow(example.saliency, cmap=SEQUENTIAL, vmin=0, vmax=top)
    _outline(axis, example)


def _outline(axis: Axes, example: Example) -> None:
    if example.mask is not None and example.mask.any():
        axis.contour(example.mask, levels=[0.5], colors="#00FFFF", linewidths=0.9)


def _bare(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
