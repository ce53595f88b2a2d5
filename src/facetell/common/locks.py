# SPDX-License-Identifier: Apache-2.0
"""One process at a time: what two of them must not write to at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from os import getpid
from pathlib import Path

from filelock import FileLock, Timeout

from facetell.common.files import read_json, write_json
from facetell.common.progress import to_stderr


@contextmanager
def alone(path: Path, *, say: Callable[[str], None] = to_stderr) -> Iterator[None]:
    """Inside the block no other process is in a block of the same ``path``, a file or a folder.

    Whoever comes second says who the first is, and waits: an interrupted stage takes some seconds
    to end, and what a living one leaves is needed. The system frees the lock of a process that has
    ended, however it ended; the empty ``PATH.lock`` stays.

    >>> with alone(Path("state")):
    ...     print(sorted(found.name for found in Path.cwd().iterdir()))
    ['state.holder', 'state.lock']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(f"{path}.lock"), Path(f"{path}.holder")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"facetell: {path} is in use by {_holder(note)}: waiting until that ends")
        lock.acquire(poll_interval=0.2)
    try:
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        write_json(note, {"pid": getpid(), "since": since})
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        holder = read_json(note)
        return f"process {holder['pid']} since {holder['since']}"
    except (OSError, ValueError, KeyError):  # it has only just begun, or is about to end
        return "another process"
