# SPDX-License-Identifier: Apache-2.0
"""The planted-artefact benchmark of one detector: do its maps find what its verdicts rest on?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facetell.common.progress import progress, worked
from facetell.explain.engine import explain
from facetell.explain.maps import INPUT, believable
from facetell.explain.registry import METHODS, cost
from facetell.explain.test_set import TestSet
from facetell.explain.trust.planted import Leaderboard, baselines, gated, model_gate
from facetell.explain.trust.sanity import cascade, stages
from facetell.explain.trust.verdict import LEAST, Verdict, judge
from facetell.models.detector import Detector

KINDS = ("single", "several")  # artefacts of a fake
BATCH = 32
OTHERS = 4  # masks of other persons' fakes that say what a map gets for nothing


@dataclass(frozen=True)
class PlantedBenchmark:
    """What was found.

    gate : ``model_gate`` on the fakes with several artefacts, on all if there are none such; empty
        for a set without masks, twins or real images, which has no benchmark.
    gates : the same by kind of fakes.
    fakes : by kind, the indices of all whose mask is known.
    passed : of these, the ones that the model tells by their artefacts (``gated``).
    boards : by kind, without those of which too few pass.
    titles : methods that bear another name on this detector than elsewhere, such as guided
        backpropagation on a network without ReLUs.
    """

    gate: dict[str, float | bool] = field(default_factory=dict)
    gates: dict[str, dict[str, float | bool]] = field(default_factory=dict)
    fakes: dict[str, list[int]] = field(default_factory=dict)
    passed: dict[str, list[int]] = field(default_factory=dict)
    boards: dict[str, Leaderboard] = field(default_factory=dict)
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
                titles=self.titles,
            )
            for kind, gate in self.gates.items()
        }  # fmt: skip


def planted_benchmark(tested: TestSet, *, methods: Sequence[str], most: int) -> PlantedBenchmark:
    """Score maps of all layers against the masks of what was planted.

    Parameters
    ----------
    methods : names of methods that are defined for the detector.
    most : fakes of a kind at most; where more pass the gate, the first of them.

    Beside the trained network stand the same network with random weights, and maps that know
    nothing of any model, all on the same fakes.
    """
    with_, without = tested.margins, tested.margins_without
    fake = tested.labels == 1
    masks = {i: m for i in np.flatnonzero(fake).tolist() if (m := tested.mask(i)) is not None}
    if not masks or without is None or fake.all():
        return PlantedBenchmark()
    real = with_[~fake]

    def gate(rows: list[int]) -> dict[str, float | bool]:
        return model_gate(real, with_[rows], without[rows], tested.threshold)

    single = ~tested.manifest["artefacts"].str.contains("+", regex=False).to_numpy()
    passed = gated(with_, without, tested.threshold)
    fakes = {kind: [i for i in masks if single[i] == (kind == "single")] for kind in KINDS}
    told = {kind: [i for i in rows if passed[i]] for kind, rows in fakes.items()}
    boards: dict[str, Leaderboard] = {}
    titles: dict[str, str] = {}
    for kind, rows in told.items():
        chosen = rows[:most]
        if len(chosen) >= LEAST and len(set(tested.persons[chosen])) > 1:
            own = {i: masks[i] for i in chosen}
            boards[kind], titles = _leaderboard(tested, own, kind, methods)
    return PlantedBenchmark(
        gate(fakes["several"] or list(masks)),
        {kind: gate(rows) for kind, rows in fakes.items() if rows},
        fakes,
        told,
        boards,
        {name: title for name, title in titles.items() if title != METHODS[name].title},
    )


def planted_cost(tested: TestSet, *, methods: Sequence[str], most: int) -> float:
    """What ``planted_benchmark`` costs, over surveying one image: roughly."""
    if tested.margins_without is None:
        return 0.0
    told = gated(tested.margins, tested.margins_without, tested.threshold) & (tested.labels == 1)
    several = tested.manifest["artefacts"].str.contains("+", regex=False).to_numpy()
    numbers = [min(most, int((told & kind).sum())) for kind in (several, ~several)]
    return 2 * cost(methods) * sum(number for number in numbers if number >= LEAST)


def _leaderboard(
    tested: TestSet, masks: dict[int, np.ndarray], kind: str, methods: Sequence[str]
) -> tuple[Leaderboard, dict[str, str]]:
    """The maps of some fakes, by index with their masks, and what is set beside them; and what the
    methods are called on this detector."""
    chosen = list(masks)
    pool = np.stack([masks[i] for i in chosen])
    board = Leaderboard(
        pool, tested.persons[chosen].tolist(),
        others=OTHERS, resamples=tested.resamples, seed=tested.seed,
    )  # fmt: skip
    networks = {"trained": tested.detector, "untrained": untrained(tested.detector, tested.seed)}
    parts = [chosen[at : at + BATCH] for at in range(0, len(chosen), BATCH)]
    for rows in progress(parts, f"planted artefacts, {kind}"):
        batch, ids = tested.batch(rows), tested.ids(rows)
        known = np.stack([masks[i] for i in rows]), ids, tested.persons[rows].tolist()
        for source, network in networks.items():
            explanation = explain(network, batch, methods=methods, seed=tested.seed)
            board.add(believable(explanation), *known, source=source, fakes=kind)
        blind = baselines(batch.cpu().numpy(), ids, seed=tested.seed)
        alone = {name: {INPUT: values} for name, values in blind.items()}
        board.add(alone, *known, source="baseline", fakes=kind)
        worked(len(networks) * cost(methods) * len(rows))
    return board, explanation.titles


def untrained(detector: Detector, seed: int) -> Detector:
    """A copy with all weights drawn anew."""
    (changed,) = (
        network for _, network in cascade(detector, stops=stages(detector)[-1:], seed=seed)
    )
    assert isinstance(changed, Detector)
    return changed.eval()
