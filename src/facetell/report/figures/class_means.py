# SPDX-License-Identifier: Apache-2.0
"""Mean maps of real and of fake, and where their difference is significant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from facetell.common.figure_style import plt
from facetell.explain.survey.class_means import ALPHA, ClassMeans, Difference
from facetell.report.figures.maps import SMALL, Scale, bare, caption, headline, scale_of

EXTENT = (0, 1, 1, 0)  # of every map, so that maps and the test's cells share coordinates


@dataclass(frozen=True)
class Means:
    """What a row shows: mean maps (h, w) of real and of fake and the test of their difference.

    ``name`` says which map, such as "Grad-CAM at layer4"; ``difference`` is None where nothing
    was tested. ``signed`` maps speak for real (< 0) or fake (> 0), others have no sign.
    """

    name: str
    real: np.ndarray
    fake: np.ndarray
    n_real: int
    n_fake: int
    difference: Difference | None = None
    signed: bool = False

    @classmethod
    def of(cls, name: str, means: ClassMeans, *, signed: bool) -> "Means":
        """From a finished ``ClassMeans``, which is tested here."""
        return cls(
            name,
            means.real.mean,
            means.fake.mean,
            means.real.n,
            means.fake.n,
            means.difference(),
            signed,
        )


def class_means(entries: Sequence[Means], title: str) -> Figure:
    """A row per kind of map: mean of real, mean of fake, and fake minus real.

    The means of a row share a scale; the difference, which is much smaller, has its own. Cells of
    the test that are significant (family-wise) are outlined.
    """
    figure, axes = plt.subplots(
        len(entries), 3, figsize=(9, 1.2 + 2.75 * len(entries)), squeeze=False
    )
    for row, entry in zip(axes, entries, strict=True):
        scale = scale_of([entry.real, entry.fake], entry.signed, 100)
        shown = ((entry.real, "real", entry.n_real), (entry.fake, "fake", entry.n_fake))
        for axis, (map_, name, count) in zip(row, shown, strict=False):
            _show(axis, map_, scale)
            axis.set_title(f"mean of {name} (n = {count})", fontsize=9)
        unit = "for real (< 0), fake (> 0)" if entry.signed else "|d margin / d pixel|"
        _bar(figure, list(row[:2]), scale, f"{unit}\none scale for both")
        row[0].set_ylabel(entry.name, fontsize=10)
        difference = entry.fake - entry.real
        scale = scale_of([difference], True, 100)
        _show(row[2], difference, scale)
        row[2].set_title(f"fake - real{_tested(row[2], entry.difference)}", fontsize=9)
        _bar(figure, [row[2]], scale, "less (< 0), more (> 0) in fakes\nits own scale")
    headline(figure, title)
    tests = [entry.difference for entry in entries if entry.difference is not None]
    note = ""
    if tests:
        note = (
            f"Outlined: cells that differ (p < {ALPHA}, corrected for all cells of the map by "
            f"{tests[0].permutations} permutations of labels by person, seed {tests[0].seed}). "
            "p: that of the largest difference anywhere."
        )
    caption(figure, note or "The difference was not tested.")
    return figure


def significant(difference: Difference) -> np.ndarray:
    """Borders (N, 2, 2) of significant cells, (x, y) in sides from the left and the top."""
    inside = np.pad(difference.p < ALPHA, 1)
    rows, columns = (
        _edges(size, cells)
        for size, cells in zip(difference.map.shape, difference.p.shape, strict=True)
    )
    lines = []
    for y, x in zip(*np.nonzero(inside[1:] != inside[:-1]), strict=True):
        lines.append(((columns[x - 1], rows[y]), (columns[x], rows[y])))
    for y, x in zip(*np.nonzero(inside[:, 1:] != inside[:, :-1]), strict=True):
        lines.append(((columns[x], rows[y - 1]), (columns[x], rows[y])))
    return np.array(lines).reshape(-1, 2, 2)


def _edges(size: int, cells: int) -> np.ndarray:
    """Where cells of whole pixels begin and end, as ``class_means.pooled`` cuts them."""
    return np.append(np.arange(cells) * size // cells, size) / size


def _tested(axis: Axes, difference: Difference | None) -> str:
    """Outline what is significant; the words for the title."""
    if difference is None:
        return ""
    lines = significant(difference)
    axis.add_collection(LineCollection(list(lines), colors="black", linewidths=1.6, clip_on=False))
    found, cells = int((difference.p < ALPHA).sum()), difference.p.size
    least = 1 / (difference.permutations + 1)
    p = f"p = {difference.p_any:.3f}" if difference.p_any > least else f"p <= {least:.3f}"
    return f": {found} of {cells} cells differ\n{p}"


def _show(axis: Axes, map_: np.ndarray, scale: Scale) -> None:
    bare(axis)
    axis.imshow(
        map_, cmap=scale.colours, norm=scale.norm, extent=EXTENT, interpolation="nearest"
    )  # the cells of a coarse map are what was measured


def _bar(figure: Figure, axes: list[Axes], scale: Scale, label: str) -> None:
    shown = plt.cm.ScalarMappable(norm=scale.norm, cmap=scale.colours)
    bar = figure.colorbar(shown, ax=axes, shrink=0.85, pad=0.02, aspect=22)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.formatter.set_powerlimits((-2, 3))  # type: ignore[attr-defined]
