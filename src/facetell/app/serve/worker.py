# SPDX-License-Identifier: Apache-2.0
"""One thread that computes, with a bounded queue in front of it.

One thread is right for a processor: a forward pass takes all cores already. It also bounds the
memory, since only one photo is decoded at a time.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from facetell.app.serve.refusals import Code, Refused

T = TypeVar("T")
WEIGHT = 0.2  # of the newest job in the running mean of durations


class Job(Generic[T]):
    """Work that waits or is done; ``result`` is a future of what it gives."""

    result: "Future[T]"

    def __init__(self, work: Callable[["Job[T]"], T]) -> None:
        self._work: Callable[[Job[T]], T] | None = work

    def run(self) -> T:
        """Do the work, unless it was given up."""
        if (work := self._work) is None:
            raise CancelledError
        return work(self)

    def give_up(self) -> None:
        """Nobody waits for it: what it holds is let go, and it stops at its next step."""
        self._work = None
        self.result.cancel()

    def step(self) -> None:
        """To be called by the work between its steps; CancelledError if nobody waits for it."""
        if self._work is None:
            raise CancelledError


class Worker:
    """Takes at most ``most`` jobs, waiting and being done, and does them in their order.

    >>> worker = Worker(most=2)
    >>> worker.submit(lambda job: 1 + 1).result.result()
    2
    >>> worker.close()
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock, self._seconds = most, threading.Lock(), 0.5
        self._waiting, self._closing = 0, False
        self._thread = ThreadPoolExecutor(1, "facetell-compute")

    @property
    def waiting(self) -> int:
        """Jobs that wait or are done now."""
        return self._waiting

    def submit(self, work: Callable[[Job[T]], T]) -> Job[T]:
        """Do the work, which is given its job, after what waits already.

        Raises
        ------
        Refused : the queue is full, or the worker was closed.
        """
        with self._lock:
            if self._closing:
                raise Refused(Code.CLOSING, "The server is being stopped.")
            if self._waiting >= self._most:
                raise Refused(
                    Code.QUEUE_FULL,
                    f"{self._waiting} requests wait already; send it again in a moment.",
                    self.retry_after(),
                )
            job = Job(work)
            job.result = self._thread.submit(self._timed, job)
            self._waiting += 1
        job.result.add_done_callback(self._done)
        return job

    def retry_after(self) -> int:
        """Whole seconds after which half of what waits should be done, 1 to 30."""
        return max(1, min(30, math.ceil(self._waiting * self._seconds / 2)))

    def close(self) -> None:
        """Leave out what waits, and return when what is being done has ended."""
        with self._lock:
            self._closing = True
        self._thread.shutdown(cancel_futures=True)

    def _timed(self, job: Job[T]) -> T:
        started = time.monotonic()
        try:
            return job.run()
        finally:
            self._seconds += WEIGHT * (time.monotonic() - started - self._seconds)

    def _done(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1
