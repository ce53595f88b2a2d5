# SPDX-License-Identifier: Apache-2.0
"""Markdown tables, as the reports have them."""

from collections.abc import Iterable, Sequence

import pandas as pd

ABSENT = "–"  # what is undefined or was not published


def markdown(table: pd.DataFrame) -> str:
    """A frame of words, without its index.

    Examples
    --------
    >>> print(markdown(pd.DataFrame({"model": ["swin"], "AUC": ["0.53"]})))
    | model | AUC |
    | --- | --- |
    | swin | 0.53 |
    """
    return markdown_lines([list(table.columns), *table.itertuples(index=False)])


def markdown_lines(lines: Sequence[Iterable[object]]) -> str:
    """Rows of words, the headings first.

    Examples
    --------
    >>> print(markdown_lines([["part", "fakes"], ["swapper", 44]]))
    | part | fakes |
    | --- | --- |
    | swapper | 44 |
    """
    worded = [list(map(str, line)) for line in lines]
    worded.insert(1, ["---"] * len(worded[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in worded)
