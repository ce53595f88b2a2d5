# SPDX-License-Identifier: Apache-2.0
"""Experiments as a table for a terminal of any width, and as rows for a CSV file."""

from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from facetell.report.experiments import DONE, FAILED, SORTED_BY, WORKSPACE, Experiment
from facetell.report.markdown import ABSENT

NUMBERS = {"accuracy": "accuracy", "perturbed": "perturbed AUC", "worst": "worst AUC"}
SHORT = {"accuracy": "acc.", "perturbed": "pert.", "worst": "worst"}
SHOWN = 4  # settings of one experiment
PIPED = 200  # characters of a line into a file
WIDE = 130  # characters of a terminal that holds all columns
COLUMNS = (
    "name", "revision", "base", "when", "state", "models", "headline", "auc", "auc_low", "auc_high",
    "accuracy", "perturbed_auc_mean", "perturbed_auc_worst", "differs", "error",
)  # fmt: skip


def table(found: Sequence[Experiment], width: int, now: datetime) -> RenderableType:
    """A table ``width`` characters wide. Where that is too narrow for what differs, it follows the
    table, a line for each experiment.

    ``now`` is the time that ages are told from.
    """
    failed = [one.name for one in found if one.state == FAILED]
    why = [Text(f"Why one failed: dvc queue logs {failed[0]}")] if failed else []
    if width < WIDE:
        lines = [Text(f"{one.name}: {said}") for one in found if (said := remarks(one))]
        return Group(_narrow(found, now), *([Text("What differs:"), *lines] if lines else []), *why)
    return Group(_wide(found, now), *why)


def _narrow(found: Sequence[Experiment], now: datetime) -> Table:
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    made.add_column("name", overflow="fold")
    made.add_column("age", no_wrap=True)
    made.add_column("model", overflow="fold")
    made.add_column("AUC, 95% interval", no_wrap=True, min_width=20)
    for name in NUMBERS:
        made.add_column(SHORT[name], justify="right", min_width=5)
    for one in found:
        made.add_row(*map(Text, (one.name, age(one, now), model(one), area(one), *_others(one))))
    return made


def _wide(found: Sequence[Experiment], now: datetime) -> Table:
    several = len({one.base for one in found if one.base}) > 1
    states = any(one.state != DONE for one in found)
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    made.add_column("name", overflow="fold")
    made.add_column("age", no_wrap=True)
    for heading, shown in {"from": several, "state": states}.items():
        if shown:
            made.add_column(heading, overflow="fold")
    made.add_column("model", overflow="fold")
    made.add_column("AUC, 95% interval", no_wrap=True)
    for name in NUMBERS:
        made.add_column(NUMBERS[name], justify="right", max_width=9)
    made.add_column("what differs", overflow="fold", min_width=30)
    for one in found:
        cells = [one.name, age(one, now), *[one.base] * several, *[one.state] * states]
        cells += [model(one), area(one), *_others(one), differs(one)]
        made.add_row(*map(Text, cells))
    return made


def printed(found: Sequence[Experiment], now: datetime) -> None:
    """Print the table; into a file without the spaces that fill lines."""
    console = Console()
    if console.is_terminal:
        console.print(table(found, console.width, now))
        return
    plain = Console(width=PIPED)
    with plain.capture() as text:
        plain.print(table(found, PIPED, now))
    print("\n".join(line.rstrip() for line in text.get().splitlines()).strip("\n"))


def model(one: Experiment) -> str:
    """The model that the numbers are of, and how many others there are.

    Examples
    --------
    >>> model(Experiment("a", models=("swin", "vit"), headline="swin"))
    'swin +1'
    """
    others = len(one.models) - bool(one.headline)
    return " ".join(filter(None, (one.headline, f"+{others}" if others else "")))


def area(one: Experiment) -> str:
    """AUC with its interval, where it has one.

    Examples
    --------
    >>> area(Experiment("a", numbers={"auc": 0.9, "auc_low": 0.85, "auc_high": 0.94}))
    '0.900 [0.850, 0.940]'
    """
    limits = [one.numbers.get(f"auc_{end}") for end in ("low", "high")]
    text = _number(one, "auc")
    return text if None in limits else f"{text} [{limits[0]:.3f}, {limits[1]:.3f}]"


def _number(one: Experiment, name: str) -> str:
    value = one.numbers.get(name)
    return ABSENT if value is None else f"{value:.3f}"


def _others(one: Experiment) -> list[str]:
    return [_number(one, SORTED_BY[name]) for name in NUMBERS]


def differs(one: Experiment) -> str:
    """The first ``SHOWN`` settings that differ, and how many more do.

    Examples
    --------
    >>> differs(Experiment("a", differs=("model=swin", "train.seed=1")))
    'model=swin train.seed=1'
    """
    more = len(one.differs) - SHOWN
    return " ".join([*one.differs[:SHOWN], *([f"+{more} more"] if more > 0 else [])])


def remarks(one: Experiment) -> str:
    """What differs, after the state where it is not done."""
    return ", ".join(filter(None, ("" if one.state == DONE else one.state, differs(one))))


def age(one: Experiment, now: datetime) -> str:
    """How long ago it was made, in the largest unit.

    Examples
    --------
    >>> made = datetime(2026, 5, 1, 12, 0)
    >>> [age(Experiment("a", when=made), datetime(2026, 5, day, 14, 5)) for day in (1, 4)]
    ['2 h', '3 d']
    """
    if one.when is None:
        return "now" if one.name == WORKSPACE else ""
    seconds = max(0.0, (now - one.when).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"


def rows(found: Sequence[Experiment]) -> list[dict[str, object]]:
    """One mapping for each experiment, with ``COLUMNS`` as keys; undefined values are None."""
    made = []
    for one in found:
        known = {**one.numbers, **vars(one)}
        known["when"] = one.when.isoformat() if one.when else None
        known["models"], known["differs"] = " ".join(one.models), " ".join(one.differs)
        made.append({name: known.get(name) for name in COLUMNS})
    return made
