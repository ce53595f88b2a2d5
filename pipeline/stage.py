# SPDX-License-Identifier: Apache-2.0
"""How every stage starts, how its errors reach a person, and how it ends when it is interrupted."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from facetell.common.errors import in_words, print_anything
from facetell.common.lifetime import Ended, end_with, signals_end
from pipeline.run_time import noted

INTERRUPTED = 128 + 2  # as shells say it
said: list[str] = []  # why it ends


def run(main: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments.

    A user's error, or a file that cannot be read or written, is one line and no traceback.
    """
    print_anything()
    try:
        with (
            signals_end(lambda name: say(f"ended by {name}")),
            noted([Path(sys.argv[0]).stem, *sys.argv[1:]]),
        ):
            main(*sys.argv[1:])
    except (KeyboardInterrupt, Ended) as reason:
        sys.exit(getattr(reason, "status", INTERRUPTED))
    except Exception as error:
        if (line := in_words(error)) is None:
            raise
        sys.exit(f"facetell: {line}")


def end_with_dvc() -> None:
    """If dvc has started this stage, end it when dvc is gone, which does not do that itself.

    A stage that was started by hand goes on when its terminal closes, if that was wanted.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None:
        return

    gone = f"dvc is gone, which has started {stage}: it ends, too"
    end_with(_dvc(stage), lambda: say(gone))


def say(what: str) -> None:
    """Why the stage ends, once, past all buffers: it is said while anything may be going on."""
    if said:
        return
    said.append(what)
    line = f"facetell: {what}; run it again to go on, nothing is half written\n"
    with suppress(OSError):  # nobody may be listening any more
        os.write(2, line.encode())


def _dvc(stage: str) -> psutil.Process | None:
    """The dvc that has started this stage: the nearest ancestor that does not belong to it.

    The shell that dvc starts does. Where it does not replace itself by the stage, it would wait for
    the stage even without dvc.
    """
    for ancestor in psutil.Process().parents():
        try:
            if ancestor.environ().get("DVC_STAGE") == stage:
                continue
        except psutil.AccessDenied:
            pass  # somebody else's
        except psutil.NoSuchProcess:
            return None
        return ancestor if _same_session(ancestor) else None
    return None


def _same_session(ancestor: psutil.Process) -> bool:
    """Whether an ancestor can have started this process; what adopts orphans is elsewhere."""
    if not hasattr(os, "getsid"):
        return True
    try:
        return os.getsid(ancestor.pid) == os.getsid(0)
    except OSError:
        return False
