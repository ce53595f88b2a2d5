# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share, and how lists are given on a command line."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from facetell.common.errors import UserError

WEIGHTS_SUFFIX = ".safetensors"

Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="A detector: its name in the folder, or its file. May be given again. Without it, the "
        "one that did best on validation images.",
    ),
]
Folder = Annotated[
    Path, typer.Option("--folder", metavar="FOLDER", help="Where trained detectors are.")
]


class Format(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def items(given: Iterable[str] | None) -> list[str]:
    """The words of an option that may be given again and may hold several, set off by commas.

    >>> items(["gradcam,layercam", "saliency"])
    ['gradcam', 'layercam', 'saliency']
    """
    return [word for one in given or () for word in one.split(",") if word]


def named(given: Iterable[str] | None, option: str) -> dict[str, list[str]]:
    """Names by what they mean, of ``real=camera`` and the like, each of which may be given again.

    >>> named(["real=camera", "fake=sdxl", "fake=flux"], "--classes")
    {'real': ['camera'], 'fake': ['sdxl', 'flux']}
    """
    found: dict[str, list[str]] = {}
    for pair in given or ():
        key, equals, name = pair.partition("=")
        if not (key and equals and name):
            raise UserError(f"{option}: {pair!r} is not like real=NAME")
        found.setdefault(key, []).append(name)
    return found


def apart(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Weights files and photos, which may be named side by side.

    >>> apart(["models/swin.safetensors", "me.jpg"])
    (['models/swin.safetensors'], ['me.jpg'])
    """
    found: tuple[list[str], list[str]] = ([], [])
    for word in arguments:
        found[not word.endswith(WEIGHTS_SUFFIX)].append(word)
    return found
