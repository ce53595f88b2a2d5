# SPDX-License-Identifier: Apache-2.0
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


def opened(reader: Callable[[Path], T], path: Path) -> T:
    """``reader(path)``, done once in each process: a large file's listing takes time to read.

    A file that was replaced since is opened anew.

    >>> opened(Path.absolute, Path(".")) is opened(Path.absolute, Path("."))
    True
    """
    return _opened(reader, path.absolute(), path.stat().st_mtime_ns)


@cache
def _opened(reader: Callable[[Path], T], path: Path, changed: int) -> T:
    return reader(path)
