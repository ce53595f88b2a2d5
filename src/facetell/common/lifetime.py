# SPDX-License-Identifier: Apache-2.0
"""How a process ends before its work is done: by a signal, or when the one that it works for is
gone. What it has open is closed and its workers end, as after an error."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType

import psutil

SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
EVERY = 0.5  # seconds between looks
GRACE = 4.0  # seconds for closing what is open


class Ended(BaseException):
    """The process has been told to end. Like KeyboardInterrupt, no error that is to be handled."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number  # as shells say it


@contextmanager
def signals_end(farewell: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, SIGTERM and SIGHUP raise ``Ended``; SIGINT raises KeyboardInterrupt.

    ``farewell`` gets the signal's name first. A signal that is ignored stays so: that is what nohup
    does. If what is open cannot be closed in ``GRACE`` seconds, the process ends without.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    owner, told = os.getpid(), threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # told twice, it ends at once
        told.set()
        if os.getpid() == owner:
            _end_soon(128 + number)
            farewell(signal.Signals(number).name)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if os.getpid() != owner:  # a forked worker, which has nothing to close
            os.kill(os.getpid(), number)
        raise Ended(number)

    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)
    try:
        with _silent_workers(), _ended_for_certain(told):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _ended_for_certain(told: threading.Event) -> Iterator[None]:
    """Python drops an exception that is raised while an object is deleted or a process forks; an
    end that has met such a moment is an end all the same. Once a process is told to end, it says
    nothing, until its last moment, of objects that cannot be deleted as they are only half made."""
    shown = sys.unraisablehook

    def show(dropped: "sys.UnraisableHookArgs") -> None:
        if isinstance(dropped.exc_value, Ended | KeyboardInterrupt):
            _end(getattr(dropped.exc_value, "status", 128 + signal.SIGINT))
        if not told.is_set():
            shown(dropped)

    sys.unraisablehook = show
    try:
        yield
    finally:
        if not told.is_set():
            sys.unraisablehook = shown


@contextmanager
def _silent_workers() -> Iterator[None]:
    """Forked workers say nothing of their pipes, which break when this process ends."""
    owner, shown = os.getpid(), sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if os.getpid() == owner or not issubclass(kind, EOFError | ConnectionError):
            shown(kind, error, trace)

    sys.excepthook = show
    try:
        yield
    finally:
        sys.excepthook = shown


def end_with(process: psutil.Process | None, farewell: Callable[[], None]) -> threading.Thread:
    """From now on this process ends soon after ``process`` has; None: that has ended already.

    ``farewell`` is called first, to say why. Works beside the main thread, whatever that does.

    >>> end_with(psutil.Process(), print).daemon
    True
    """

    def watch() -> None:
        while process is not None and _lives(process):
            time.sleep(EVERY)
        farewell()
        _end_soon(1)
        main = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main is not None:
            signal.pthread_kill(main, signal.SIGTERM)  # wakes it, too, if it waits for something
        else:
            signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=watch, name="end_with", daemon=True)
    thread.start()
    return thread


def end_children() -> None:
    """End all processes that this one has started, and theirs."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end_soon(status: int) -> None:
    timer = threading.Timer(GRACE, _end, [status])
    timer.daemon = True
    timer.start()


def _end(status: int) -> None:
    end_children()
    os._exit(status)
