# SPDX-License-Identifier: Apache-2.0
"""``facetell models``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from facetell.app.commands.arguments import Folder, Format


def models(
    folder: Folder = Path("models"),
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
) -> None:
    """List the detectors that are trained here: on what, how large, and how well each does.

    The best on validation images, which `predict` takes if none is named, comes first.
    """
    from facetell.app.tables import printed
    from facetell.app.trained import rows, trained

    found = list(rows(trained(folder)))
    shown = [_shown(row) for row in found]
    printed(found, form, shown)
    if form == Format.TABLE and any(row["auc"] is None for row in found):
        print("–: not measured on these weights; dvc repro does it")


def _shown(row: dict[str, Any]) -> dict[str, str]:
    """The columns of the table on a terminal."""
    return {
        "model": row["model"],
        "network": row["network"],
        "input": f"{row['image_size']} px",
        "parameters": "–" if row["parameters"] is None else f"{row['parameters'] / 1e6:.2f} M",
        "trained on": _trained_on(row),
        "AUC": _bounded(row["auc"], row["auc_interval"]),
        "accuracy": _bounded(row["accuracy"], row["accuracy_interval"]),
        "AUC, perturbed": _bounded(row["perturbed_auc"], None),
    }


def _trained_on(row: dict[str, Any]) -> str:
    if row["trained_on"] is None:
        return "–"
    return f"{row['trained_on']}, {row['training_images']:,} images"


def _bounded(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
