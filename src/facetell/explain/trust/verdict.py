# SPDX-License-Identifier: Apache-2.0
"""Which maps can be believed, and on which fakes: the one place that decides it.

What is planted can only speak for fakes whose verdict it decides, so a map is scored on fakes that
pass the gate one by one: fake with a probability of at least 0.95, and their twins without
artefacts called real. There the cause of the verdict is known, however often the model errs on
other fakes. Three questions follow, in this order:

1. Do enough fakes pass? Below ``LEAST`` of them nothing is said of any map.
2. Does the map find the artefacts? Its score must lead all that knows nothing: chance, random,
   centre, edges, the same map of the untrained network, and itself with masks of other persons'
   fakes. The map that validation fakes chose (``Choice``) is the only one that is asked of the test
   fakes, so its leads must hold by 97.5% bounds of its own. Of all maps together those are believed
   whose leads hold by bounds that are right for all of them at once, with the same 97.5%: however
   many maps there are, the probability that any is believed wrongly stays that small.
3. How far does that reach? If the model tells this kind of fakes by the artefacts in general
   (``model_gate`` of that kind), to its verdicts on all of them. If not, only to the fakes that
   pass: the others, which it misses or calls fake for another reason, were never looked at.

Fakes whose altered pixels are known, but of which there is no twin, pass with a probability of at
least 0.95 alone. Whether what was altered decides their verdict is then not known, so what is
believed never reaches beyond them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.explain.trust.choice import Choice
from facetell.explain.trust.leaderboard import ELSEWHERE, LEADS
from facetell.explain.trust.planted import LEAST, METRIC

MAPS = ("method", "layer", "score", "low", "high", "rival", "specific", "belief")


class Belief(StrEnum):
    """How far a map can be believed."""

    GENERAL = "general"  # on every fake of the kind
    RESTRICTED = "restricted"  # only on the fakes that pass the gate
    NONE = "none"


@dataclass(frozen=True)
class Verdict:
    """What can be believed of one model's maps on one kind of fakes.

    kind : of the fakes, ``single`` artefact, ``several``, or ``altered`` pixels.
    scope : what holds of every map that finds the artefacts; NONE where too few fakes pass.
    fakes, passed, scored : how many fakes there are of the kind, how many pass the gate one by
        one, and how many of these the maps were scored on.
    gate : ``model_gate`` on all fakes of the kind.
    levels : what knows nothing: chance, random, centre, edges (those known) and untrained, the
        best map of the untrained network.
    maps : a row per method and layer in forward order. ``score`` with its 95% interval (``low``,
        ``high``); ``rival``, the highest score of what knows nothing; ``specific``, whether the
        map finds its own image's mask better than other persons'; ``belief``. The last two are
        corrected for the number of maps.
    choice : what validation fakes say; None where there are none that could.
    chosen : the row of the map that they chose, with the ``belief`` of a map that was chosen
        beforehand, which needs no correction; None where none was chosen, or too few test fakes
        pass.
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
    choice: Choice | None = None
    chosen: Mapping[str, Any] | None = None
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def believed(self) -> int:
        """How many of the maps can be believed, in general or within their restriction, corrected
        for their number."""
        return int((self.maps["belief"] != Belief.NONE).sum())

    @property
    def chosen_is_believed(self) -> bool:
        """Whether the map that validation fakes chose can be believed."""
        return self.chosen is not None and self.chosen["belief"] != Belief.NONE

    @property
    def has_twins(self) -> bool:
        """Whether the gate could ask for the verdict on the same fakes without their artefacts."""
        return "accuracy_without" in self.gate

    def belief_of(self, method: str, layer: str) -> Belief:
        """How far one map can be believed; one that was not judged, not at all."""
        if self.chosen is not None and (self.chosen["method"], self.chosen["layer"]) == (
            method, layer
        ):  # fmt: skip
            return Belief(self.chosen["belief"])
        own = self.maps[(self.maps["method"] == method) & (self.maps["layer"] == layer)]
        return Belief(own["belief"].iloc[0]) if len(own) else Belief.NONE

    @property
    def claim(self) -> str:
        """What may be said of the maps, in sentences."""
        decided = (
            "whose verdict the artefacts decide"
            if self.has_twins
            else "that are called fake for sure"
        )
        if self.scope == Belief.NONE:
            return (
                f"No statement on any map: there are {self.passed} of {self.fakes} fakes "
                f"{decided}, and at least {LEAST}, of two persons, are needed."
            )
        share = f"{self.passed} of {self.fakes} fakes ({self.passed / self.fakes:.0%})"
        verb = "is" if self.believed == 1 else "are"
        said = (
            f"{self._of_chosen} Corrected for their number, {self.believed or 'none'} of "
            f"{len(self.maps)} maps {verb} believed."
        )
        if not (self.believed or self.chosen_is_believed):
            return f"{said} Maps were tested on the {share} {decided}."
        if self.scope == Belief.GENERAL:
            return f"{said} The model tells such fakes by what was planted ({share} pass)."
        why = (
            "on the others the model may go by something else, and its maps were not tested there"
            if self.has_twins
            else "without twins, whether what was altered decides their verdict is not known"
        )
        return f"{said} That holds only on the {share} {decided}; {why}."

    @property
    def _of_chosen(self) -> str:
        """What is said of the map that validation fakes chose, or why there is none."""
        if self.choice is None:
            return "No map was chosen: no validation fakes say where they were altered."
        if not self.choice.made:
            return f"No map was chosen: {self.choice.refusal}."
        if self.chosen is None:
            return "The map that validation fakes chose was not scored on test fakes."
        verb = "is" if self.chosen_is_believed else "is not"
        return (
            f"{self.chosen['method']} at {self.chosen['layer']}, the map that validation fakes "
            f"chose, {verb} believed."
        )

    def record(self) -> dict[str, Any]:
        """The verdict as JSON has it; the maps' own stand in the leaderboard's rows.

        ``chosen`` has the chosen map's score on test fakes, ``choice`` that on validation fakes.
        """
        chosen = self.chosen
        if chosen is not None:
            chosen = dict(chosen) | {"belief": str(chosen["belief"])}
        return {
            "scope": str(self.scope),
            "fakes": self.fakes,
            "passed": self.passed,
            "scored": self.scored,
            "maps": len(self.maps),
            "believed": self.believed,
            "choice": None if self.choice is None else self.choice.record(),
            "chosen": chosen,
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
    choice: Choice | None = None,
) -> Verdict:
    """Decide what can be believed, from a table of ``Leaderboard.table()``.

    Parameters
    ----------
    board : may hold other kinds of fakes too, or no row of this one if too few pass.
    fakes, passed : how many fakes there are of the kind, and pass the gate one by one.
    gate : ``model_gate`` on all fakes of the kind.
    titles : of methods that bear another name on this model.
    choice : what validation fakes chose; it must not come from the fakes of ``board``.
    """
    own = board[board["fakes"] == kind] if len(board) else board
    trained = own[own["source"] == "trained"] if len(own) else own
    scored = int(trained["n"].max()) if len(trained) else 0
    if min(scored, passed) < LEAST:
        return Verdict(kind, Belief.NONE, fakes, passed, 0, gate, {}, _no_maps(), choice)
    scope = Belief.GENERAL if gate.get("passed") else Belief.RESTRICTED
    levels, rivals = _rivals(own, trained)
    names = {"score": METRIC, "low": f"{METRIC}_low", "high": f"{METRIC}_high"}
    maps = pd.DataFrame(
        {"method": trained["method"], "layer": trained["layer"]}
        | {name: trained[column] for name, column in names.items()}
        | {"rival": rivals, "specific": trained[ELSEWHERE] > 0}
    )
    alone, together = (trained[name] > 0 for name in LEADS[1:])
    beliefs = {True: scope, False: Belief.NONE}
    maps["belief"] = together.map(beliefs)
    chosen = None
    if choice is not None and choice.made:
        named = (maps["method"] == choice.method) & (maps["layer"] == choice.layer)
        for row in maps[named].to_dict("records"):
            chosen = {name: row[name] for name in MAPS if name != "specific"}
            chosen["belief"] = beliefs[bool(alone[named].iloc[0])]
    maps = maps.reset_index(drop=True)
    return Verdict(kind, scope, fakes, passed, scored, gate, levels, maps, choice, chosen, titles)


def _rivals(own: pd.DataFrame, trained: pd.DataFrame) -> tuple[dict[str, float], list[float]]:
    """What knows nothing: its scores by name, and the highest that each trained map has to beat,
    which is the same map of the untrained network where that is higher."""
    blind = own[own["source"] == "baseline"].set_index("method")[METRIC]
    untrained = own[own["source"] == "untrained"].set_index(["method", "layer"])[METRIC]
    levels = {"chance": float(trained["area"].mean())}
    levels |= {str(name): float(value) for name, value in blind.items()}
    highest = max(levels.values())
    if len(untrained):
        levels["untrained"] = float(untrained.max())
    keys = zip(trained["method"], trained["layer"], strict=True)
    return levels, [max(highest, float(untrained.get(key, highest))) for key in keys]


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
    said = planted.get("verdicts")
    if said is None or any("choice" not in one for one in said.values()):
        raise UserError(
            "metrics/explain says of some model's maps how they score, and not which of them "
            "validation fakes chose or which can be believed: run the explain stage again"
        )
    return {kind: _read(planted, kind, one) for kind, one in said.items()}


def _read(planted: Mapping[str, Any], kind: str, record: Mapping[str, Any]) -> Verdict:
    """One of them; its maps are the rows of the leaderboard that have a belief."""
    maps = pd.DataFrame([
        row | {"score": row[METRIC], "low": row[f"{METRIC}_low"], "high": row[f"{METRIC}_high"]}
        for row in planted["leaderboard"]
        if row["fakes"] == kind and "belief" in row
    ])  # fmt: skip
    maps = maps[list(MAPS)] if len(maps) else _no_maps()
    return Verdict(
        kind, Belief(record["scope"]), record["fakes"], record["passed"], record["scored"],
        record["gate"], record["levels"], maps, Choice.of(record["choice"]), record["chosen"],
        record["titles"],
    )  # fmt: skip


def _no_maps() -> pd.DataFrame:
    return pd.DataFrame(columns=list(MAPS))
