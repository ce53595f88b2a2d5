# SPDX-License-Identifier: Apache-2.0
"""``facetell export WEIGHTS [TARGET]``."""

from pathlib import Path
from typing import Annotated

import typer

from facetell.common.errors import printable


def export(
    weights: Annotated[
        Path, typer.Argument(metavar="WEIGHTS", help="A detector, models/NAME.safetensors.")
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TARGET", help="File to write. By default WEIGHTS with the suffix .onnx."
        ),
    ] = None,
) -> None:
    """Convert a detector to ONNX, and check it against PyTorch."""
    from facetell.models.export import TOLERANCE, data_file, to_onnx

    target = target or weights.with_suffix(".onnx")
    largest = to_onnx(weights, target)
    files = [path for path in (target, data_file(target)) if path.exists()]
    size = sum(path.stat().st_size for path in files) / 1e6
    what = f"{' and '.join(map(printable, files))}: {size:.1f} MB"
    print(f"{what}, differs from PyTorch by {largest:.1e} (at most {TOLERANCE:.0e})")
