# SPDX-License-Identifier: Apache-2.0
"""How far long work has come, and how long it takes: a bar, and one line that says it in advance.

Both are quiet where they would only be noise: a bar in a log file has a line every 30 s, work of a
few seconds is not announced, and of several processes that share the work the first one speaks.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

SHORT = 10.0  # seconds: what takes less is not announced
LOOK = 2.0  # seconds that are measured before anything is said
STEP = 3  # cost of training on an image over that of scoring it: once forward, twice back
ENOUGH = 0.1  # of the work, after which even less time says enough

Say = Callable[[str], None]
Clock = Callable[[], float]


def progress(
    items: Iterable[Any] | None, what: str, total: int | None = None, *, show: bool = True
) -> Any:
    """Wrap ``items`` in a bar with an estimate; a log file gets a line every 30 s instead."""
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        total=total,
        disable=not (show and _speaks()),
        dynamic_ncols=terminal,
        ascii=not terminal,
        mininterval=0.2 if terminal else 30,
        maxinterval=1 if terminal else 60,
        leave=terminal,
        delay=0 if terminal else 30,
    )


def to_stderr(line: str) -> None:
    """Print a line where progress goes, above a bar if there is one."""
    if _speaks():
        tqdm.write(line, file=sys.stderr)


def _speaks() -> bool:
    """Of processes that share the work (see ``facetell.common.distributed``) only the first."""
    return os.environ.get("RANK", "0") == "0"


class Estimate:
    """Says once what is done and how long it takes here, as soon as a few steps are measured.

    what : the work in words. total : all of it that is measured, in units of equal cost.
    afterwards : seconds of what follows at a rate of its own, such as figures.
    say : gets the line. clock : seconds, from any start.

    The first step is not measured: memory is taken and kernels are chosen there.

    >>> seconds = iter(range(100))  # a step takes a second
    >>> estimate = Estimate("predict swin: 30 versions of 586 images", total=41, say=print,
    ...                     clock=lambda: next(seconds))
    >>> for _ in range(10):
    ...     estimate.worked(1)
    predict swin: 30 versions of 586 images: about 40 s
    """

    def __init__(
        self,
        what: str,
        total: float,
        *,
        afterwards: float = 0.0,
        say: Say = to_stderr,
        clock: Clock = time.monotonic,
    ) -> None:
        self.what, self.total, self.afterwards = what, total, afterwards
        self.say, self.clock = say, clock
        self.begun = clock()
        self.said = False
        self._first: float | None = None  # when the first step was done
        self._skipped = self._measured = 0.0

    def worked(self, units: float) -> None:
        """So much has been done since the last call."""
        if self.said:
            return
        now = self.clock()
        if self._first is None:
            self._first, self._skipped = now, units
            return
        self._measured += units
        elapsed, done = now - self._first, self._skipped + self._measured
        if elapsed >= LOOK or (done >= ENOUGH * self.total and elapsed >= LOOK / 4):
            self.said = True
            left = max(0.0, self.total - done) * elapsed / self._measured
            self._announce(now - self.begun + left + self.afterwards)

    def _announce(self, seconds: float) -> None:
        if seconds >= SHORT:
            self.say(f"{self.what}: about {in_words(seconds)}")


_open: list[Estimate] = []  # the innermost last


@contextmanager
def estimating(
    what: str,
    total: float,
    *,
    afterwards: float = 0.0,
    show: bool = True,
    say: Say = to_stderr,
    clock: Clock = time.monotonic,
) -> Iterator[None]:
    """Inside the block, what ``worked`` is told of goes to one ``Estimate``, if it is to ``show``.

    >>> with estimating("pack: 200 images", total=200):
    ...     worked(64)
    """
    teller = say if show else _nothing
    _open.append(Estimate(what, total, afterwards=afterwards, say=teller, clock=clock))
    try:
        yield
    finally:
        _open.pop()


def worked(units: float = 1.0) -> None:
    """Tell the estimate around this, if there is one, how much has been done since the last call.

    The units are those of its total.
    """
    if _open:
        _open[-1].worked(units)


def _nothing(line: str) -> None:
    pass


def in_words(seconds: float) -> str:
    """A duration, rounded as one would say it.

    >>> in_words(42), in_words(100), in_words(200), in_words(4000), in_words(30000)
    ('40 s', '1.5 min', '3 min', '65 min', '8.5 h')
    """
    if seconds < 57:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = seconds / 60
    if minutes < 2.75:
        return f"{round(2 * minutes) / 2:g} min"
    if minutes < 95:
        return f"{round(minutes) if minutes < 20 else 5 * round(minutes / 5)} min"
    return f"{round(minutes / 30) / 2:g} h"
