# SPDX-License-Identifier: Apache-2.0
"""The map that validation fakes choose, so that test fakes have no say in which they rate.

The highest of many scores is flattered by its own images: on others it falls. A map that was chosen
on other persons' fakes is rated without favour, by a plain interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from facetell.explain.trust.planted import LEAST, METRIC


@dataclass(frozen=True)
class Choice:
    """What validation fakes say.

    kind : of these fakes; not always that of the test fakes, since a kind may be kept for the test.
    fakes, passed, scored : how many there are, how many pass the gate, and how many of those the
        maps were scored on.
    method, layer : of the map that was chosen; empty where too few pass.
    score : its relevance rank accuracy on them, with a 95% interval by person (``low``, ``high``).
    """

    kind: str
    fakes: int
    passed: int
    scored: int = 0
    method: str = ""
    layer: str = ""
    score: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")

    @property
    def made(self) -> bool:
        """Whether there is a chosen map."""
        return bool(self.method)

    @property
    def refusal(self) -> str:
        """Why no map was chosen, in a clause; empty where one was."""
        if self.made:
            return ""
        return (
            f"{self.passed} of {self.fakes} validation fakes pass the gate, and at least {LEAST}, "
            "of two persons, are needed"
        )

    def record(self) -> dict[str, Any]:
        """The choice as JSON has it; what is undefined is absent."""
        return {name: value for name, value in asdict(self).items() if value == value}

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> "Choice | None":
        """What ``record`` gave."""
        return None if record is None else cls(**record)


def choose(board: pd.DataFrame, kind: str, *, fakes: int, passed: int) -> Choice:
    """The map with the highest relevance rank accuracy among those that find their own image's mask
    better than other persons' (by a 95% interval), or among all where none does.

    ``board`` is the table of a ``Leaderboard`` on validation fakes of one kind, empty where too few
    pass. A map that only points at where artefacts tend to lie scores well on any set, so those
    that follow the image come first.

    >>> rows = [("gradcam", "a", 0.7, 0.2), ("gradcam", "b", 0.6, 0.1), ("saliency", "", 0.8, -0.1)]
    >>> board = pd.DataFrame(rows, columns=["method", "layer", "rra", "rra_excess_low"])
    >>> board = board.assign(source="trained", n=12, rra_low=0.4, rra_high=0.9)
    >>> chosen = choose(board, "several", fakes=30, passed=14)
    >>> chosen.method, chosen.layer, chosen.score
    ('gradcam', 'a', 0.7)
    """
    none = Choice(kind, fakes, passed)
    own = board[board["source"] == "trained"] if len(board) else board
    if own.empty or passed < LEAST or own["n"].max() < LEAST or own[METRIC].isna().all():
        return none
    follow = own[own[f"{METRIC}_excess_low"] > 0]
    among = follow if len(follow) else own
    best = among.loc[among[METRIC].idxmax()]
    score, low, high = (float(best[f"{METRIC}{end}"]) for end in ("", "_low", "_high"))
    return Choice(
        kind, fakes, passed, int(best["n"]), str(best["method"]), str(best["layer"]),
        score, low, high,
    )  # fmt: skip
