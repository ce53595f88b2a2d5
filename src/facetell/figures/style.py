"""One look for all figures: colour-blind safe, legible at page width, fixed colour per model."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from facetell.files import whole

# Okabe and Ito (2008), safe for the common kinds of colour blindness; yellow left out (on white)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "savefig.dpi": 160,
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


def save(figure: Figure, path: str | Path) -> None:
    """Write and close; the file carries no date, so that equal figures are equal files."""
    with whole(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
    plt.close(figure)
