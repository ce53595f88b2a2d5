# SPDX-License-Identifier: Apache-2.0
"""Which maps can be believed, and on which fakes: the one place that decides it.

What is planted can only speak for fakes whose verdict it decides, so a map is scored on fakes that
pass the gate one by one: fake with a probability of at least 0.95, and their twins without
artefacts called real. There the cause of the verdict is known, however often the model errs on
other fakes. Three questions follow, in this order:

1. Do enough fakes pass? Below ``LEAST`` of them nothing is said of any map.
2. Does the map find the artefacts? Its score must lie above all that knows nothing (chance,
   random, centre, edges, the same map of the untrained network), and be higher for its own image's
   mask than for those of other persons; both by a 95% interval.
3. How far does that reach? If the model tells this kind of fakes by the artefacts in general
   (``model_gate`` of that kind), to its verdicts on all of them. If not, only to the fakes that
   pass: the others, which it misses or calls fake for another reason, were never looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from facetell.common.errors import UserError

LEAST = 8  # fakes that must pass the gate before anything is said of maps
METRIC = "rra"  # relevance rank accuracy, which belief rests on
MAPS = ("method", "layer", "score", "low", "high", "rival", "specific", "belief")


class Belief(StrEnum):
    """How far a map can be believed."""

    GENERAL = "general"  # on every fake of the kind
    RESTRICTED = "restricted"  # only on the fakes that pass the gate
    NONE = "none"


@dataclass(frozen=True)
class Verdict:
    """What can be believed of one model's maps on one kind of fakes.

    kind : of the fakes, ``single`` artefact or ``several``.
    scope : what holds of every map that finds the artefacts; NONE where too few fakes pass.
    fakes, passed, scored : how many fakes there are of the kind, how many pass the gate one by
        one, and how many of these the maps were scored on.
    gate : ``model_gate`` on all fakes of the kind.
    levels : what knows nothing: chance, random, centre, edges (those known) and untrained, the
        best map of the untrained network.
    maps : a row per method and layer in forward order. ``score`` with its 95% interval (``low``,
        ``high``); ``rival``, the highest score of what knows nothing; ``specific``, whether the
        map finds its own image's mask better than other persons'; ``belief``.
    best : the row with the highest score among those believed, else among all, chosen on the same
        images; None without any.
    titles : methods that bear another name on this model than elsewhere, in words.
    """

    kind: str
    scope: Belief
    fakes: int
    passed: int
    scored: int
    gate: Mapping[str, Any]
    levels: dict[str, float]
    maps: pd.DataFrame
    best: Mapping[str, Any] | None
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def believed(self) -> int:
        """How many of the maps can be believed, in general or within their restriction."""
        return int((self.maps["belief"] != Belief.NONE).sum())

    @property
    def claim(self) -> str:
        """What may be said of the maps, in a sentence."""
        if self.scope == Belief.NONE:
            return (
                f"No statement on any map: the artefacts decide the verdict on {self.passed} of "
                f"{self.fakes} fakes, and at least {LEAST}, of two persons, are needed."
            )
        share = f"{self.passed} of {self.fakes} fakes ({self.passed / self.fakes:.0%})"
        if not self.believed:
            return f"No map is believed on the {share} whose verdict the artefacts decide."
        verb = "is" if self.believed == 1 else "are"
        some = f"{self.believed} of {len(self.maps)} maps {verb} believed"
        if self.scope == Belief.GENERAL:
            return f"{some}: the model tells such fakes by what was planted ({share} pass)."
        return (
            f"{some}, but only on the {share} whose verdict the artefacts decide; on the others "
            "the model may go by something else, and its maps were not tested there."
        )

    def record(self) -> dict[str, Any]:
        """The verdict as JSON has it; the maps' own stand in the leaderboard's rows."""
        best = None if self.best is None else {n: self.best[n] for n in ("method", "layer")}
        return {
            "scope": str(self.scope),
            "fakes": self.fakes,
            "passed": self.passed,
            "scored": self.scored,
            "maps": len(self.maps),
            "believed": self.believed,
            "best": best,
            "levels": self.levels,
            "titles": dict(self.titles),
            "gate": dict(self.gate),
            "claim": self.claim,
        }


def judge(
    board: pd.DataFrame,
    kind: str,
    *,
    fakes: int,
    passed: int,
    gate: Mapping[str, Any],
    titles: Mapping[str, str],
) -> Verdict:
    """Decide what can be believed, from a table of ``Leaderboard.table()``.

    Parameters
    ----------
    board : may hold other kinds of fakes too, or no row of this one if too few pass.
    fakes, passed : how many fakes there are of the kind, and pass the gate one by one.
    gate : ``model_gate`` on all fakes of the kind.
    titles : of methods that bear another name on this model.
    """
    own = board[board["fakes"] == kind] if len(board) else board
    trained = own[own["source"] == "trained"] if len(own) else own
    scored = int(trained["n"].max()) if len(trained) else 0
    if min(scored, passed) < LEAST:
        return Verdict(kind, Belief.NONE, fakes, passed, 0, gate, {}, _no_maps(), None)
    scope = Belief.GENERAL if gate.get("passed") else Belief.RESTRICTED
    blind = own[own["source"] == "baseline"].set_index("method")[METRIC]
    untrained = own[own["source"] == "untrained"].set_index(["method", "layer"])[METRIC]
    levels = {"chance": float(trained["area"].mean())}
    levels |= {str(name): float(value) for name, value in blind.items()}
    highest = max(levels.values())
    if len(untrained):
        levels["untrained"] = float(untrained.max())
    names = {"score": METRIC, "low": f"{METRIC}_low", "high": f"{METRIC}_high"}
    maps = pd.DataFrame(
        {"method": trained["method"], "layer": trained["layer"]}
        | {name: trained[column] for name, column in names.items()}
    )
    keys = list(zip(maps["method"], maps["layer"], strict=True))
    maps["rival"] = [max(highest, float(untrained.get(key, highest))) for key in keys]
    maps["specific"] = trained[f"{METRIC}_excess_low"] > 0
    good = maps["specific"] & (maps["low"] > maps["rival"])
    maps["belief"] = good.map({True: scope, False: Belief.NONE})
    among = maps[good] if good.any() else maps
    best = among.loc[among["score"].idxmax()].to_dict() if among["score"].notna().any() else None
    maps = maps.reset_index(drop=True)
    return Verdict(kind, scope, fakes, passed, scored, gate, levels, maps, best, titles)


def with_beliefs(board: pd.DataFrame, verdict: Verdict) -> pd.DataFrame:
    """The leaderboard with ``rival``, ``specific`` and ``belief`` in the rows of the maps that were
    judged; they are absent (NaN) in all others."""
    if verdict.maps.empty:
        return board
    beliefs = verdict.maps.drop(columns=["score", "low", "high"])
    beliefs = beliefs.assign(source="trained", fakes=verdict.kind)
    keys = ["source", "fakes", "method", "layer"]
    return board.merge(beliefs, on=keys, how="left", validate="many_to_one")


def stored(planted: Mapping[str, Any]) -> dict[str, Verdict]:
    """The verdicts that metrics/explain/<model>.json has under ``planted``, by kind of fakes;
    nothing is decided anew.

    Raises
    ------
    UserError : the file is of a version that stored no verdicts.
    """
    if "verdicts" not in planted:
        raise UserError(
            "metrics/explain says of some model's maps how they score and not whether they can be "
            "believed: run the explain stage again"
        )
    return {kind: _read(planted, kind, said) for kind, said in planted["verdicts"].items()}


def _read(planted: Mapping[str, Any], kind: str, record: Mapping[str, Any]) -> Verdict:
    """One of them; its maps are the rows of the leaderboard that have a belief."""
    maps = pd.DataFrame([
        row | {"score": row[METRIC], "low": row[f"{METRIC}_low"], "high": row[f"{METRIC}_high"]}
        for row in planted["leaderboard"]
        if row["fakes"] == kind and "belief" in row
    ])  # fmt: skip
    maps = maps[list(MAPS)] if len(maps) else _no_maps()
    best = None
    if record["best"] is not None:
        names = ["method", "layer"]
        named = (maps[names] == pd.Series(record["best"])[names]).all(axis=1)
        best = maps[named].iloc[0].to_dict()
    return Verdict(
        kind, Belief(record["scope"]), record["fakes"], record["passed"], record["scored"],
        record["gate"], record["levels"], maps, best, record["titles"],
    )  # fmt: skip


def _no_maps() -> pd.DataFrame:
    return pd.DataFrame(columns=list(MAPS))
