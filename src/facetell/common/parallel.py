"""Work on many images, shared by processes, in order and with few of them in memory."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel, delayed

CHUNK = 64  # images that a process takes at once
ALONE = 10 * CHUNK  # images below which other processes are not worth their start

T = TypeVar("T")


def in_processes(
    work: Callable[..., T], chunks: Iterable[Any], *arguments: Any, workers: int
) -> Iterator[T]:
    """``work(chunk, *arguments)`` for each chunk, in their order; what was not asked for yet is
    not begun, but for a few chunks ahead. One worker is this process itself."""
    jobs = (delayed(work)(chunk, *arguments) for chunk in chunks)
    with warnings.catch_warnings():
        # a process that has grown is replaced by a new one, which is as it should be
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        yield from Parallel(
            n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch="4*n_jobs"
        )(jobs)


@cache
def opened(reader: Callable[[Path], T], path: Path) -> T:
    """``reader(path)``, opened once in each process: a large file's listing takes time to read.

    >>> opened(Path.resolve, Path("/")) is opened(Path.resolve, Path("/"))
    True
    """
    return reader(path)
