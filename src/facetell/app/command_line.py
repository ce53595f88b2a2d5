# SPDX-License-Identifier: Apache-2.0
"""The command ``facetell``: what is done with trained detectors outside the pipeline."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facetell.common.errors import in_words, print_anything, printable

WEIGHTS = "weights of a detector, models/NAME.safetensors"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status.

    A user's error, or a file that cannot be read or written, is one line on stderr.

    ``argv`` are the arguments after the command's name; None: those of the process.

    Examples
    --------
    >>> main(["export", "missing.safetensors"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="facetell", description="Use a trained detector of AI-generated faces."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    print_anything()
    try:
        arguments.run(arguments)
    except Exception as error:
        if (line := in_words(error)) is None:
            raise
        print("facetell:", " ".join(line.split()), file=sys.stderr)
        return 1
    return 0


def add_export(commands: Any) -> None:
    """``facetell export WEIGHTS [TARGET]``."""
    text = "convert a detector to ONNX and check it against PyTorch"
    parser = commands.add_parser("export", help=text, description=_sentence(text))
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help=WEIGHTS)
    parser.add_argument(
        "target",
        type=Path,
        metavar="TARGET",
        nargs="?",
        help="file to write (default: WEIGHTS with the suffix .onnx)",
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> None:
    from facetell.models.export import (  # torch takes seconds to import
        TOLERANCE,
        data_file,
        to_onnx,
    )

    target = arguments.target or arguments.weights.with_suffix(".onnx")
    largest = to_onnx(arguments.weights, target)
    files = [path for path in (target, data_file(target)) if path.exists()]
    size = sum(path.stat().st_size for path in files) / 1e6
    what = f"{' and '.join(map(printable, files))}: {size:.1f} MB"
    print(f"{what}, differs from PyTorch by {largest:.1e} (at most {TOLERANCE:.0e})")


def add_explain(commands: Any) -> None:
    """``facetell explain WEIGHTS PHOTO [PHOTO ...]``."""
    text = "say whether photos are real or fake, and show where the detector looked"
    parser = commands.add_parser(
        "explain",
        help=text,
        description=f"{_sentence(text)} A verdict only holds for images like those that the "
        "detector was trained on. You are warned if a photo is known to be different.",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help=WEIGHTS)
    parser.add_argument(
        "photos", type=Path, metavar="PHOTO", nargs="+", help="photo of a face, cropped to it"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["gradcam"],
        metavar="METHOD",
        help="one method, drawn at every layer (default: gradcam); or several, or all, drawn side "
        "by side",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="LAYER",
        help="all, default (the layer that is recommended for the network), or names as in "
        "named_modules(); if not given, all layers for one method and the recommended layer for "
        "several",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="figure to write (default: PHOTO_explained.png in the working folder)",
    )
    parser.add_argument(
        "--blur", action="store_true", help="show the maps after Gaussian blur, too"
    )
    parser.set_defaults(run=explain)


def explain(arguments: argparse.Namespace) -> None:
    from facetell.app.photo import explain_photos

    for found in explain_photos(
        arguments.weights,
        arguments.photos,
        methods=arguments.methods,
        layers=arguments.layers,
        out=arguments.out,
        blurred=arguments.blur,
    ):
        for warning in found.photo.warnings:
            print(f"facetell: warning: {printable(found.photo.path)}: {warning}", file=sys.stderr)
        print("\n".join(found.lines()))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


COMMANDS = (add_export, add_explain)  # each adds its parser, and sets ``run``
