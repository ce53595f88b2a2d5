# SPDX-License-Identifier: Apache-2.0
"""Work that several processes, or several machines, do as if they were one process.

Processes find each other by the environment variables of torchrun (RANK, WORLD_SIZE, LOCAL_RANK,
LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT): ``launch`` sets them for processes on this machine,
torchrun for several. In training each batch is shared, and batch norm is synchronised, so that a
batch gives the same result however many share it. Elsewhere whole batches are dealt out, the same
ones as of one process: the same numbers come of them, to the last bit.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psutil
import torch
import torch.distributed as dist
from joblib import cpu_count  # those that this process may use, on every system
from torch import multiprocessing
from torch.distributed.nn.functional import all_reduce
from torch.overrides import TorchFunctionMode

from facetell.common.errors import UserError, brief, in_words
from facetell.common.lifetime import end_with
from facetell.common.machine import CHOICE, accelerator, backend

PATIENCE = timedelta(minutes=10)  # that processes wait for one that is silent
LOOK = 0.2  # seconds between looks at whether one of the processes has failed
ENDED = 30  # seconds in which a process that has failed is ended with the others
AGAIN = "run the same command again, wherever it ran; a training goes on after its last whole epoch"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class World:
    """Which process this is, and of how many."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """The one that writes files and prints."""
        return self.rank == 0

    def total(self, *numbers: float) -> list[float]:
        """Each number summed over all processes."""
        if self.size == 1:
            return list(numbers)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, numbers)  # not every accelerator has 64-bit numbers
        return [sum(values) for values in zip(*parts, strict=True)]

    def interleaved(self, mine: Sequence[Any]) -> list[Any]:
        """The items of all processes, where process r holds items r, r + size, ..."""
        if self.size == 1:
            return list(mine)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(mine))
        return [parts[at % self.size][at // self.size] for at in range(sum(map(len, parts)))]

    def dealt(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """``work(item)`` of every item, in order; item i is done by process i modulo size alone,
        and every process gets its result.

        Results are exchanged when each process has done one item, so that only so many are in
        memory. Every process must take them all.

        >>> list(World().dealt(len, ["a", "face"]))
        [1, 4]
        """
        for start in range(0, len(items), self.size):
            mine = items[start : start + self.size][self.rank : self.rank + 1]
            yield from self.interleaved([work(item) for item in mine])

    def agreed(self, value: Any, of: int = 0) -> Any:
        """The value of the first process, or of the one of that rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=of)
        return box[0]


ALONE = World()


def current() -> World:
    """This process's rank among those that work together, and how many they are."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return ALONE


def cores() -> int:
    """The cores for this process: those of the machine, shared by the processes on it."""
    return max(1, cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def launch(function: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Call ``function`` in ``processes`` processes that work together.

    Under torchrun, which has started the processes, this one only joins the others.

    Raises
    ------
    UserError : more processes than accelerators; one of the processes raised it, or is gone.

    >>> launch(print, 1, "one process is this one")
    one process is this one
    """
    if not isinstance(processes, int) or processes < 1:
        raise UserError(f"processes must be a whole number above 0, got {processes!r}")
    if "WORLD_SIZE" in os.environ:
        _together(function, arguments)
        return
    if processes == 1:
        function(*arguments)
        return
    found = accelerator()
    if (
        found is not None
        and backend(found) != "gloo"
        and processes > torch.accelerator.device_count()
    ):
        raise UserError(
            f"processes is {processes}, but of {found.type} devices there are "
            f"{torch.accelerator.device_count()}; {CHOICE}=cpu in the environment works on "
            "processors"
        )
    # one line says why all end, and not another which are ended
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    errors = multiprocessing.get_context("spawn").SimpleQueue()
    context = multiprocessing.start_processes(
        _process, (processes, _free_port(), errors.put, function, arguments), processes, join=False
    )
    try:
        while not context.join(LOOK):
            if not errors.empty():  # all end at once, before one says that another is gone
                raise UserError(errors.get())
    except (
        multiprocessing.ProcessExitedException,
        multiprocessing.ProcessRaisedException,
    ) as error:
        if not errors.empty():
            raise UserError(errors.get()) from None
        if isinstance(error, multiprocessing.ProcessExitedException):
            raise UserError(f"one of {processes} processes is gone ({error}): {AGAIN}") from None
        raise
    finally:
        for process in context.processes:
            process.kill()  # after an interruption; else it has ended


def _process(
    rank: int,
    size: int,
    port: int,
    tell: Callable[[str], None],
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores())
    # the process that has started this one ends it, and says why
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(psutil.Process().parent(), lambda: None)

    def tell_and_wait(line: str) -> None:
        tell(line)
        time.sleep(ENDED)

    try:
        _together(function, arguments, tell_and_wait)
    except Exception as error:
        if in_words(error) is None:
            raise
        sys.exit(1)


def _together(
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Call ``function`` in a process group; ``tell`` gets the words of an error before the others
    notice that this process is gone."""
    try:
        dist.init_process_group(backend(accelerator() or torch.device("cpu")), timeout=PATIENCE)
        function(*arguments)
    except Exception as error:
        raised = UserError(_gone(error)) if _is_loss(error) else error
        if (line := in_words(raised)) is not None:
            tell(line)
        raise raised from error.__cause__
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _is_loss(error: Exception) -> bool:
    """Whether others did not answer; gloo raises plain errors that name its files."""
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error)
    )


def _gone(error: Exception) -> str:
    return f"a process that shares the work is gone or not to be reached ({brief(error)}): {AGAIN}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SynchronisedBatchNorm(TorchFunctionMode):
    """Inside this context, batch norm in training uses the statistics of all processes' images.

    torch's own SyncBatchNorm exists for accelerators only. Every batch norm goes through
    ``torch.batch_norm``, whatever module calls it, so networks need not be changed.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.batch_norm and args[5]:  # training
            return _batch_norm(*args[:5], momentum=args[6], eps=args[7])
        return func(*args, **(kwargs or {}))


def _batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    *,
    momentum: float,
    eps: float,
) -> torch.Tensor:
    """Batch norm over dimension 1 of x (B, C, ...) with gradients through all processes."""
    over = [0, *range(2, x.ndim)]
    wide = (1, -1) + (1,) * (x.ndim - 2)
    values = x.float()
    count = all_reduce(torch.tensor(float(values.numel() // values.shape[1]), device=x.device))
    mean = all_reduce(values.sum(over)) / count
    centred = values - mean.view(wide)
    variance = all_reduce(centred.square().sum(over)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / (count - 1), momentum)
    scaled = centred * torch.rsqrt(variance + eps).view(wide)
    if weight is not None and bias is not None:
        scaled = scaled * weight.view(wide) + bias.view(wide)
    return scaled.to(x.dtype)
