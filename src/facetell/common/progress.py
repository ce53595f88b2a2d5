# SPDX-License-Identifier: Apache-2.0
"""One progress bar for everything that takes long; quiet where output is not a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None, what: str, total: int | None = None, *, show: bool = True
) -> Any:
    """Wrap ``items`` in a bar with an estimate; a log file gets a line every 30 s instead."""
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        total=total,
        disable=not show,
        dynamic_ncols=terminal,
        ascii=not terminal,
        mininterval=0.2 if terminal else 30,
        maxinterval=1 if terminal else 60,
        leave=terminal,
        delay=0 if terminal else 30,
    )
