# SPDX-License-Identifier: Apache-2.0
"""Rows on a terminal, as JSON lines or as CSV."""

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from facetell.app.commands.arguments import Format
from facetell.common.errors import printable

UNFOLDED = 100_000  # columns where the output is no terminal: a path in a file stays in one piece


def printed(
    rows: Iterable[Mapping[str, Any]], form: Format, shown: Sequence[Mapping[str, str]] = ()
) -> None:
    """Print plain ``rows`` for programs, or the ``shown`` cells as a table for people."""
    if form == Format.TABLE:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
        console.print(as_table(shown))
        return
    lines = Lines(form)
    for row in rows:
        lines.write(row)


def as_table(shown: Sequence[Mapping[str, str]]) -> Table:
    """A table of cells by column; numbers are set to the right."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in shown[0] if shown else ():
        number = all(row[column][:1] in "0123456789–" for row in shown)
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in shown:
        table.add_row(*(printable(cell).replace("[", r"\[") for cell in row.values()))
    return table


class Lines:
    """Writes a row at a time, so that a long run can be read while it goes on."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """One more row, with the same keys as the first."""
        if self.form == Format.JSONL:
            print(json.dumps({key: _plain(value) for key, value in row.items()}), flush=True)
            return
        if self._writer is None:
            self._writer = csv.DictWriter(sys.stdout, row, lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow({key: _cell(value) for key, value in row.items()})
        sys.stdout.flush()


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return "" if value is None else value
