# SPDX-License-Identifier: Apache-2.0
"""Figures of a data set: samples, augmentations, spectra, and what shortcuts tell of the label."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from facetell.common.figure_style import CLASS_COLOURS, legible, plt
from facetell.common.labels import CLASSES
from facetell.dataset.audit import SPECTRAL, WORDS
from facetell.metrics import intervals

LONGEST = 24  # characters of a group's name
GAP = 0.06  # of a picture's side, between pictures
DECIBEL = 10 / np.log(10)  # of a natural logarithm of power


def gallery(samples: Mapping[str, Mapping[str, list[np.ndarray]]], title: str) -> Figure:
    """Samples by group (a row: class, generator) and split (columns), at their own resolution.

    ``samples[group][split]`` are images uint8 (H, W, 3); the same number is drawn for each split.
    """
    splits = list(dict.fromkeys(split for group in samples.values() for split in group))
    shown = [images for group in samples.values() for images in group.values()]
    width, side = max(map(len, shown)), _side(image for images in shown for image in images)
    figure, axes = plt.subplots(
        len(samples),
        len(splits),
        figsize=(0.85 * width * len(splits) + 1.8, 0.85 * len(samples) + 0.8),
        squeeze=False,
    )
    for row, (group, by_split) in enumerate(samples.items()):
        for axis, split in zip(axes[row], splits, strict=True):
            images = by_split.get(split, [])
            _strip(axis, images, width, side)
            if row == 0:
                axis.set_title(split, fontsize=10, loc="left")
            if not images:
                axis.text(0.5 / width, 0.5, "none", ha="center", va="center", fontsize=8,
                          transform=axis.transAxes)  # fmt: skip
        said = "\n".join(legible(line, LONGEST) for line in group.split("\n"))
        axes[row, 0].set_ylabel(said, fontsize=8, rotation=0, ha="right", va="center")
    figure.suptitle(title, fontsize=11)
    return figure


def augmented(rows: Mapping[str, list[np.ndarray]], title: str) -> Figure:
    """The same images as they are and through each augmentation; ``rows`` by augmentation."""
    columns, side = max(map(len, rows.values())), _side(one for row in rows.values() for one in row)
    size = (1.0 * columns + 1.2, 1.0 * len(rows) + 0.6)
    figure, axes = plt.subplots(len(rows), 1, figsize=size, squeeze=False)
    for axis, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        _strip(axis, images, columns, side)
        axis.set_ylabel(name, fontsize=9, rotation=0, ha="right", va="center")
    figure.suptitle(title, fontsize=11)
    return figure


def spectrum(
    rings: Mapping[str, np.ndarray], cosines: Mapping[str, np.ndarray], title: str
) -> Figure:
    """Azimuthal power of real and fake with its spread, their difference, and that of the DCT.

    ``rings`` by class (N, radii), natural log of power; ``cosines`` by class (bands, bands).
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6))
    _power(left, rings)
    _difference(middle, rings)
    change = DECIBEL * (cosines["fake"] - cosines["real"])
    limit = np.percentile(np.abs(change), 99.5) or 1.0
    shown = right.imshow(
        change, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(0, 0.5, 0.5, 0), aspect="equal"
    )
    right.grid(visible=False)
    right.set(xlabel="across (cycles/px)", ylabel="down (cycles/px)")
    right.set_title("DCT: mean log power, fake - real", fontsize=10)
    figure.colorbar(shown, ax=right, shrink=0.85, extend="both").set_label("dB")
    figure.suptitle(title, fontsize=11)
    return figure


def _frequencies(values: np.ndarray) -> np.ndarray:
    """The middle of each ring in cycles per pixel, (radii,)."""
    return (np.arange(values.shape[1]) + 0.5) / values.shape[1] / 2


def _power(axis: Axes, rings: Mapping[str, np.ndarray]) -> None:
    """Mean power of each class, with its standard deviation as a band."""
    for name, values in rings.items():
        mean, spread = DECIBEL * values.mean(axis=0), DECIBEL * values.std(axis=0)
        dash = "-" if name == CLASSES[0] else "--"
        at, colour = _frequencies(values), CLASS_COLOURS[name]
        axis.plot(at, mean, dash, color=colour, label=f"{name} (n = {len(values)})")
        axis.fill_between(at, mean - spread, mean + spread, color=colour, alpha=0.18, lw=0)
    axis.set(xlabel="frequency (cycles/px)", ylabel="power (dB)")
    axis.set_title("Azimuthal mean ± standard deviation", fontsize=10)
    axis.legend(fontsize=9)


def _difference(axis: Axes, rings: Mapping[str, np.ndarray]) -> None:
    """Mean power of fake minus that of real, with the interval of a normal distribution."""
    real, fake = (DECIBEL * rings[name] for name in CLASSES)
    difference = fake.mean(axis=0) - real.mean(axis=0)
    errors = [values.std(axis=0) / np.sqrt(len(values)) for values in (fake, real)]
    half = norm.ppf((1 + intervals.LEVEL) / 2) * np.hypot(*errors)
    at, colour = _frequencies(real), CLASS_COLOURS["fake"]
    axis.axhline(0, color="black", lw=0.8)
    axis.plot(at, difference, color=colour)
    axis.fill_between(at, difference - half, difference + half, color=colour, alpha=0.25)
    axis.set(xlabel="frequency (cycles/px)", ylabel="fake - real (dB)")
    axis.set_title(f"Difference with {intervals.in_words()} interval", fontsize=10)


def shortcuts(areas: Mapping[str, Mapping[str, float]], limit: float, title: str) -> Figure:
    """AUC with its interval for each group of shortcuts; filled above ``limit``.

    ``areas`` are of ``facetell.dataset.audit.audit``.
    """
    figure, axis = plt.subplots(figsize=(7.5, 0.34 * len(areas) + 1.5))
    axis.axvspan(limit, 1, color=CLASS_COLOURS["fake"], alpha=0.08, lw=0)
    axis.axvline(0.5, color="black", lw=0.8)
    for place, (name, found) in enumerate(areas.items()):
        linear = name == SPECTRAL
        beyond = found["auc"] > limit
        colour = "black" if linear else CLASS_COLOURS["fake" if beyond else "real"]
        axis.plot([found["low"], found["high"]], [place] * 2, color=colour, lw=2)
        axis.plot(
            found["auc"],
            place,
            marker="s" if linear else "o",
            color=colour,
            markerfacecolor=colour if beyond else "white",
            markersize=7,
        )
        axis.text(1.01, place, f"{found['auc']:.2f}", va="center", fontsize=9)
    axis.set_yticks(range(len(areas)), [WORDS[name] for name in areas])
    axis.invert_yaxis()
    lowest = min([0.4, *(found["low"] - 0.02 for found in areas.values())])
    axis.set(xlim=(lowest, 1), xlabel="AUC of fake against real, from this alone (0.5: chance)")
    axis.set_title(title, fontsize=11)
    axis.text(0.99, len(areas) - 0.6, f"shortcuts above {limit:g}: warning", ha="right", fontsize=8)
    return figure


def _side(images: Iterable[np.ndarray]) -> int:
    """Pixels of the largest side."""
    return max((max(image.shape[:2]) for image in images), default=1)


def _strip(axis: Axes, images: Sequence[np.ndarray], width: int, side: int) -> None:
    """Images beside each other, ``width`` places of ``side`` px, with a gap between them.

    One picture for all: matplotlib takes long to lay out and draw many panels.
    """
    place = side + max(1, round(GAP * side))
    strip = np.full((side, width * place, 4), 0, np.uint8)
    for number, image in enumerate(images):
        high, wide = image.shape[:2]
        strip[:high, number * place : number * place + wide, :3] = image
        strip[:high, number * place : number * place + wide, 3] = 255
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.imshow(strip)
