# SPDX-License-Identifier: Apache-2.0
"""What a report consists of, and the same as Markdown.

Sections give blocks: headings, paragraphs, lists of sentences, and tables as frames of words. In
paragraphs, backticks are code and two stars are bold, as in Markdown.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import pandas as pd

ABSENT = "–"  # what is undefined or was not published


class Heading(str):
    """Of a section."""

    __slots__ = ()


Block: TypeAlias = str | tuple[str, ...] | pd.DataFrame


def in_markdown(blocks: Iterable[Block]) -> str:
    """All blocks, with an empty line between two.

    Examples
    --------
    >>> print(in_markdown([Heading("Costs"), "Two `swin`:", ("one", "another")]))
    ## Costs
    <BLANKLINE>
    Two `swin`:
    <BLANKLINE>
    - one
    - another
    """
    return "\n\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    if isinstance(block, pd.DataFrame):
        return markdown(block)
    if isinstance(block, Heading):
        return f"## {block}"
    if isinstance(block, str):
        return block
    return "\n".join(f"- {sentence}" for sentence in block)


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
