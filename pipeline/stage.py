# SPDX-License-Identifier: Apache-2.0
"""How every stage starts, and how its errors reach a person."""

import sys
from collections.abc import Callable

from facetell.common.errors import UserError


def run(main: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments; a user's error is one line, no traceback."""
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(f"facetell: {error}")
