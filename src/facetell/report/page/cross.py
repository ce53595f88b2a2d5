# SPDX-License-Identifier: Apache-2.0
"""Cross tables, as metrics/cross has them: what was trained on against what was tested on."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.report.markdown import ABSENT, Block, Heading

TITLES = {"platforms": "platform", "sets": "data set", "generators": "generator",
          "psis": "truncation psi"}  # fmt: skip
NUMBERS = {"accuracy": ("Accuracy (%)", 100, 2), "auc": ("AUC", 1, 3)}


def cross_tables(cross: Mapping[str, pd.DataFrame]) -> list[Block]:
    """A grid per table and number; nothing without tables. Frames are those that
    ``facetell.report.cross.tables.long_form`` makes."""
    blocks: list[Block] = []
    for kind, frame in cross.items():
        for _, table in frame.groupby("table", sort=True):
            first = table.iloc[0]
            where = f"`{first['model']}` on `{first['data']}`, by {TITLES.get(kind, kind)}"
            blocks.append(Heading(where))
            for number, (title, scale, digits) in NUMBERS.items():
                if table[number].notna().any():
                    blocks += [f"{title}, trained on (rows) and tested on (columns):",
                               _grid(table, number, scale, digits)]  # fmt: skip
    if not blocks:
        return []
    return [
        Heading("Trained on one, tested on another"),
        "Rows differ only in what was trained on. Square brackets hold intervals by person; "
        "numbers after a slash were published.",
        *blocks,
    ]


def _grid(table: pd.DataFrame, number: str, scale: float, digits: int) -> pd.DataFrame:
    rows: dict[str, dict[str, str]] = {}
    for cell in table.to_dict("records"):
        row = rows.setdefault(str(cell["trained_on"]), {"trained on": str(cell["trained_on"])})
        row[str(cell["tested_on"])] = _cell(cell, number, scale, digits)
    return pd.DataFrame(list(rows.values())).fillna(ABSENT)


def _cell(cell: Mapping[Any, Any], number: str, scale: float, digits: int) -> str:
    if pd.isna(cell[number]):
        return ABSENT
    said = f"{scale * cell[number]:.{digits}f}"
    if not pd.isna(cell[f"{number}_low"]):
        low, high = (scale * cell[f"{number}_{end}"] for end in ("low", "high"))
        said += f" [{low:.{digits}f}, {high:.{digits}f}]"
    if number == "accuracy" and not pd.isna(cell["accuracy_published"]):
        said += f" / {scale * cell['accuracy_published']:.{digits}f}"
    return said
