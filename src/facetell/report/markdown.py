"""Markdown tables, as the reports have them."""

from collections.abc import Iterable, Sequence

import pandas as pd

ABSENT = "–"  # what is undefined or was not published


def markdown(table: pd.DataFrame) -> str:
    """A frame of words, without its index."""
    return markdown_lines([list(table.columns), *table.itertuples(index=False)])


def markdown_lines(lines: Sequence[Iterable[object]]) -> str:
    """Rows of words, the headings first."""
    worded = [list(map(str, line)) for line in lines]
    worded.insert(1, ["---"] * len(worded[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in worded)
