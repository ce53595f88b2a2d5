# SPDX-License-Identifier: Apache-2.0
"""One look for all figures: colour-blind safe, legible at page width, fixed colour per model."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import matplotlib

# a stage has no screen; a notebook, or whoever has chosen already, keeps its own
if "MPLBACKEND" not in os.environ and "matplotlib.pyplot" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facetell.common.files import whole
from facetell.common.labels import CLASSES

# Okabe and Ito (2008), safe for the common kinds of colour blindness; yellow left out (on white)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")
CLASS_COLOURS = dict(zip(CLASSES, COLOURS, strict=False))
WIDTH = 9  # inches; a page shows it at about 0.7 of that
TALLEST = 14  # inches; what a page holds at that width
BANDED = 5  # models up to which their bands can be told apart
FORMATS = (".png", ".pdf")  # for the screen, and for print
# no dates: equal figures are equal files
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "pdf.fonttype": 42,  # letters stay letters: to be searched, and edited for print
        "font.size": 10,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def look(models: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour, dash and marker for each model; up to 32 are told apart with or without colour.

    Each eight models have all colours (and with them all markers) once; the next eight have the
    next dash with the same colour.
    """
    return {
        model: {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[(index + index // len(COLOURS)) % len(DASHES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, model in enumerate(models)
    }


def grid(number: int, widest: int = 5) -> tuple[int, int]:
    """Rows and columns for ``number`` panels, as even as they can be with ``widest`` in a row."""
    rows = -(-number // widest)
    return rows, -(-number // rows)


def leave_empty(axes: np.ndarray, used: int) -> None:
    """Switch off the panels beyond the first ``used``, and label the ones above them instead."""
    columns = axes.shape[1]
    for index in range(used, axes.size):
        axes.flat[index].set_axis_off()
        axes.flat[index - columns].tick_params(labelbottom=True)


def panel(axis: Axes | None, width: float = 4.8, height: float = 4.4) -> Axes:
    """``axis`` itself, or the only one of a new figure of so many inches."""
    return plt.subplots(figsize=(width, height))[1] if axis is None else axis


def finished(axis: Axes, given: Axes | None) -> Axes:
    """``axis``, with a legend where it is of a new figure: none was ``given``."""
    if given is None:
        axis.legend(fontsize=9)
    return axis


def save(figure: Figure, path: str | Path) -> None:
    """Write and close. The suffix says the format; without one there is a PNG and a PDF.

    The files carry no date, so that equal figures are equal files.
    """
    path = Path(path)
    for suffix in [path.suffix] if path.suffix else FORMATS:
        with whole(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, metadata=METADATA.get(suffix))
    plt.close(figure)
