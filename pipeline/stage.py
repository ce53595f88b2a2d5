"""What all stages share: parameters, the user's paths, and errors that a person can read."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from facetell.common.errors import UserError


def params() -> dict[str, Any]:
    """params.yaml of the workspace that the stage runs in."""
    with open("params.yaml", encoding="utf-8") as file:
        return yaml.safe_load(file)


def user_path(path: str) -> Path:
    """A path as the user meant it: relative to the repository, not to a queued run's copy."""
    return Path(os.environ.get("DVC_ROOT", ".")) / Path(path).expanduser()


def run(main: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments; a user's error is one line, no traceback."""
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"facetell: {error}")
