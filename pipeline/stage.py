# SPDX-License-Identifier: Apache-2.0
"""How every stage starts, and how its errors reach a person."""

import sys
from collections.abc import Callable
from pathlib import Path

from facetell.common.errors import UserError
from pipeline.run_time import noted


def run(main: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments; a user's error is one line, no traceback."""
    try:
        with noted([Path(sys.argv[0]).stem, *sys.argv[1:]]):
            main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"facetell: {error}")
