# SPDX-License-Identifier: Apache-2.0
"""The benchmark of one detector's maps against masks: do they find what its verdicts rest on?

Masks are those of planted artefacts, which have twins without them, or a user's own of the pixels
that were altered in a fake.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facetell.common.progress import progress, worked
from facetell.explain.engine import explain
from facetell.explain.maps import INPUT, believable
from facetell.explain.registry import METHODS, cost
from facetell.explain.test_set import TestSet
from facetell.explain.trust.choice import Choice, choose
from facetell.explain.trust.image_means import Key
from facetell.explain.trust.leaderboard import Leaderboard
from facetell.explain.trust.planted import LEAST, baselines, gated, model_gate
from facetell.explain.trust.sanity import cascade, stages
from facetell.explain.trust.verdict import Verdict, judge
from facetell.models.detector import Detector

KINDS = ("single", "several", "altered")  # of fakes: artefacts planted, or pixels of a user's mask
BATCH = 8  # few images of many maps: processes share them
OTHERS = 4  # masks of other persons' fakes that say what a map gets for nothing


@dataclass(frozen=True)
class PlantedBenchmark:
    """What was found.

    gate : ``model_gate`` on the fakes with several artefacts, on all if there are none such; empty
        for a set without masks or real images, which has no benchmark.
    gates : the same by kind of fakes.
    fakes : by kind, the indices of all whose mask is known.
    passed : of these, the ones that the model tells by their artefacts (``gated``).
    boards : by kind, without those of which too few pass.
    choices : by kind, the map that validation fakes chose; none for kinds that have no such fakes.
    titles : methods that bear another name on this detector than elsewhere, such as guided
        backpropagation on a network without ReLUs.
    """

    gate: dict[str, float | bool] = field(default_factory=dict)
    gates: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    fakes: dict[str, list[int]] = field(default_factory=dict)
    passed: dict[str, list[int]] = field(default_factory=dict)
    boards: dict[str, Leaderboard] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The leaderboard of each kind, see ``Leaderboard.table``."""
        return {kind: board.table() for kind, board in self.boards.items()}

    def verdicts(self, tables: dict[str, pd.DataFrame]) -> dict[str, Verdict]:
        """What can be believed of the maps, by kind of fakes that the set has."""
        return {
            kind: judge(
                tables.get(kind, pd.DataFrame()), kind,
                fakes=len(self.fakes[kind]), passed=len(self.passed[kind]), gate=gate,
                titles=self.titles, choice=self.choices.get(kind),
            )
            for kind, gate in self.gates.items()
        }  # fmt: skip


@dataclass(frozen=True)
class _Masked:
    """Fakes of a set whose mask is known: by kind their indices, and of these the ones that pass
    the gate."""

    masks: dict[int, np.ndarray]
    fakes: dict[str, list[int]]
    passed: dict[str, list[int]]

    @classmethod
    def of(cls, tested: TestSet) -> "_Masked":
        rows = np.flatnonzero((tested.labels == 1) & (tested.manifest["mask"] != "").to_numpy())
        masks = {i: m for i in rows.tolist() if (m := tested.mask(i)) is not None}
        kinds, passed = _kinds(tested), _passed(tested)
        sorted_ = {kind: [i for i in masks if kinds[i] == kind] for kind in KINDS}
        fakes = {kind: rows for kind, rows in sorted_.items() if rows}
        return cls(masks, fakes, {k: [i for i in own if passed[i]] for k, own in fakes.items()})

    def scored(self, tested: TestSet, kind: str, most: int) -> dict[int, np.ndarray]:
        """Masks of those that maps are scored on, the first ``most`` that pass, by index; none if
        too few do."""
        rows = self.passed.get(kind, [])[:most]
        if len(rows) < LEAST or len(set(tested.persons[rows])) < 2:
            return {}
        return {row: self.masks[row] for row in rows}


def planted_benchmark(
    tested: TestSet, validated: TestSet | None = None, *, methods: Sequence[str], most: int
) -> PlantedBenchmark:
    """Score maps of all layers against the masks of what was planted, or altered.

    Parameters
    ----------
    validated : the same detector with validation images, whose fakes choose a map; None: no map is
        chosen. A kind of fakes that they lack has the map that those of the first other kind chose.
    methods : names of methods that are defined for the detector.
    most : fakes of a kind at most, in either set; where more pass the gate, the first of them.

    Beside the trained network stand the same network with random weights, and maps that know
    nothing of any model, all on the same test fakes.
    """
    known = _Masked.of(tested)
    if not known.masks or (tested.labels == 1).all():
        return PlantedBenchmark()
    networks = {"trained": tested.detector, "untrained": untrained(tested.detector, tested.seed)}
    boards: dict[str, Leaderboard] = {}
    titles: dict[str, str] = {}
    for kind in KINDS:
        if own := known.scored(tested, kind, most):
            boards[kind], titles = _leaderboard(tested, own, kind, methods, networks)
    return PlantedBenchmark(
        _gate(tested, known.fakes.get("several") or list(known.masks)),
        {kind: _gate(tested, rows) for kind, rows in known.fakes.items()},
        known.fakes,
        known.passed,
        boards,
        _choices(validated, methods, most) if boards and validated is not None else {},
        {name: title for name, title in titles.items() if title != METHODS[name].title},
    )


def _choices(validated: TestSet, methods: Sequence[str], most: int) -> dict[str, Choice]:
    """The map that validation fakes chose, by kind of test fakes."""
    known, found = _Masked.of(validated), {}
    for kind, fakes in known.fakes.items():
        table = pd.DataFrame()
        if own := known.scored(validated, kind, most):
            networks = {"trained": validated.detector}
            table = _leaderboard(validated, own, kind, methods, networks)[0].table()
        found[kind] = choose(table, kind, fakes=len(fakes), passed=len(known.passed[kind]))
    first = next(iter(found.values()), None)
    return found | {kind: first for kind in KINDS if first is not None and kind not in found}


def planted_cost(
    tested: TestSet, validated: TestSet | None = None, *, methods: Sequence[str], most: int
) -> float:
    """What ``planted_benchmark`` costs, over surveying one image: roughly."""
    total = 0.0
    for one, networks in ((tested, 2), (validated, 1)):
        if one is not None:
            masked = (one.labels == 1) & (one.manifest["mask"] != "").to_numpy() & _passed(one)
            kinds = _kinds(one)
            numbers = [min(most, int((masked & (kinds == kind)).sum())) for kind in KINDS]
            total += networks * sum(number for number in numbers if number >= LEAST)
    return total * cost(methods)


def _kinds(tested: TestSet) -> np.ndarray:
    """Which of ``KINDS`` each image would be as a fake, (N,)."""
    artefacts = tested.manifest["artefacts"]
    several = artefacts.str.contains("+", regex=False)
    return np.select([artefacts == "", several], ["altered", "several"], "single")


def _twinned(tested: TestSet) -> np.ndarray:
    """Which images have a twin without artefacts, bool (N,)."""
    none = tested.margins_without is None
    return (
        np.zeros(len(tested.labels), bool) if none else (tested.manifest["twin"] != "").to_numpy()
    )


def _passed(tested: TestSet) -> np.ndarray:
    """Which images pass the gate if they are fakes, bool (N,)."""
    sure = gated(tested.margins, None, tested.threshold)
    if tested.margins_without is None:
        return sure
    both = gated(tested.margins, tested.margins_without, tested.threshold)
    return np.where(_twinned(tested), both, sure)


def _gate(tested: TestSet, rows: list[int]) -> dict[str, float | bool]:
    """``model_gate`` of some fakes against all real images; by twins only where all have one."""
    real, with_ = tested.margins[tested.labels == 0], tested.margins[rows]
    without = tested.margins_without
    if without is None or not _twinned(tested)[rows].all():
        return model_gate(real, with_, None, tested.threshold)
    return model_gate(real, with_, without[rows], tested.threshold)


def _leaderboard(
    tested: TestSet,
    masks: dict[int, np.ndarray],
    kind: str,
    methods: Sequence[str],
    networks: dict[str, Detector],
) -> tuple[Leaderboard, dict[str, str]]:
    """The maps of some fakes, by index with their masks, of each of the ``networks``, and beside
    them what knows nothing; and what the methods are called on this detector."""
    chosen = list(masks)
    board = Leaderboard(
        np.stack(list(masks.values())), tested.persons[chosen].tolist(),
        others=OTHERS, resamples=tested.resamples, seed=tested.seed,
    )  # fmt: skip

    def look(rows: list[int]) -> tuple[dict[Key, dict[str, np.ndarray]], dict[str, str]]:
        batch, ids = tested.batch(rows), tested.ids(rows)
        known = np.stack([masks[i] for i in rows]), ids, tested.persons[rows].tolist()
        blind = baselines(batch.cpu().numpy(), ids, seed=tested.seed)
        maps = {"baseline": {name: {INPUT: values} for name, values in blind.items()}}
        titles: dict[str, str] = {}
        for source, network in networks.items():
            explanation = explain(network, batch, methods=methods, seed=tested.seed)
            maps[source] = believable(explanation)
            titles |= explanation.titles
        found: dict[Key, dict[str, np.ndarray]] = {}
        for source in (*networks, "baseline"):
            found |= board.scored(maps[source], *known, source=source, fakes=kind)
        return found, titles

    titles: dict[str, str] = {}
    parts = [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
    looked = progress(tested.world.dealt(look, parts), f"masks of fakes, {kind}", len(parts))
    for rows, (found, names) in zip(parts, looked, strict=True):
        board.take(found, tested.persons[rows].tolist())
        titles |= names
        worked(len(networks) * cost(methods) * len(rows))
    return board, titles


def untrained(detector: Detector, seed: int) -> Detector:
    """A copy with all weights drawn anew."""
    (changed,) = (
        network for _, network in cascade(detector, stops=stages(detector)[-1:], seed=seed)
    )
    assert isinstance(changed, Detector)
    return changed.eval()
