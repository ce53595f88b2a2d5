# SPDX-License-Identifier: Apache-2.0
"""Whether maps deserve belief where no truth is planted: faithfulness, sanity, stability, on a
sample of fakes, and how far these agree with planted truth where it is known."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from facetell.common.progress import STEP, progress, worked
from facetell.evaluation.perturbations.degradation import blur
from facetell.explain.engine import explain
from facetell.explain.layers import spread_layers
from facetell.explain.maps import believable, enlarge
from facetell.explain.registry import METHODS, cost
from facetell.explain.test_set import TestSet
from facetell.explain.trust import faithfulness
from facetell.explain.trust.agreement import agreements
from facetell.explain.trust.image_means import ImageMeans, Key
from facetell.explain.trust.planted import METRIC
from facetell.explain.trust.planted_benchmark import PlantedBenchmark
from facetell.explain.trust.sanity import cascade, compare, stages
from facetell.explain.trust.stability import max_sensitivity, under_change
from facetell.models.detector import Detector

Name = tuple[str, str]  # method, layer
Numbers = dict[Key, dict[str, np.ndarray]]  # of some images, each (B,), by what they are of
RANDOM = ("random order", "")  # the zero level of faithfulness
BLUR = 2.0  # px: the UIUC report's stronger one
SMALLEST = 4  # cells on a side of a map that is put to trial
PARTS = 16  # of the sample, at most: processes share them
_STABLE = 3  # times that all maps are made to see what a blur changes, beside the draws of noise
PREFERRED = ("several", "single", "altered")  # fakes that are tried: the first kind with a board


@dataclass(frozen=True)
class TrialSettings:
    """How much is tried.

    images : fakes.
    depths : layers, spread over the network's listed ones.
    steps : points of deletion and insertion.
    fractions : of the pixels that ROAD removes.
    draws : of the noise of ``max_sensitivity``.
    stops : stages of the randomisation that are looked at.

    >>> TrialSettings.of({"images": 8, "depths": 3, "steps": 4, "fractions": [0.2, 0.5],
    ...                   "draws": 3, "stops": 3}).fractions
    (0.2, 0.5)
    """

    images: int
    depths: int
    steps: int
    fractions: tuple[float, ...]
    draws: int
    stops: int

    @property
    def faithful(self) -> float:
        """What the faithfulness of one map costs, over surveying an image: forward passes only."""
        return 2 * (self.steps + 1 + len(self.fractions)) / STEP

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "TrialSettings":
        """From a section of the parameters, whose lists become tuples."""
        return cls(**{**settings, "fractions": tuple(settings["fractions"])})


@dataclass(frozen=True)
class Trials:
    """Tables of one detector, each row a map (method, layer) with intervals by person.

    n : fakes that were tried.
    faithfulness : the measures of ``facetell.explain.trust.faithfulness.measure``, and a row for a
        random order.
    stability : the largest change under noise (``max_sensitivity``), and change and rank
        correlation under blur, with the change of the margin.
    sanity : the likeness of maps after each ``part``, from the logits down, was drawn anew.
    agreement : Kendall's tau of each measure with planted truth; empty where none is known.
    """

    n: int
    faithfulness: pd.DataFrame
    stability: pd.DataFrame
    sanity: pd.DataFrame
    agreement: pd.DataFrame


def trials(
    tested: TestSet, planted: PlantedBenchmark, methods: Sequence[str], settings: TrialSettings
) -> Trials | None:
    """Put maps to trial on fakes that are told by what was planted, else on fakes that are found;
    None with fewer than two of them."""
    kind = next((kind for kind in PREFERRED if kind in planted.boards), None)
    if kind is None:
        rows = np.flatnonzero((tested.labels == 1) & (tested.margins >= tested.threshold)).tolist()
    else:
        rows = planted.passed[kind]
    rows = rows[: settings.images]
    if len(rows) < 2:
        return None
    layers = spread_layers(tested.detector, tested.batch(rows[:1]), settings.depths, least=SMALLEST)
    parts = [
        _Sample(tested, part.tolist(), methods, layers, settings)
        for part in np.array_split(rows, min(PARTS, len(rows)))
    ]
    faithful, stable = (_means(tested, "method", "layer") for _ in range(2))
    units = _orders(methods, settings) * settings.faithful
    _gather(faithful, parts, _Sample.faithfulness, "faithfulness", units)
    units = (_STABLE + settings.draws) * cost(methods)
    _gather(stable, parts, _Sample.stability, "stability", units)
    truth = planted.boards[kind].values(METRIC, source="trained", fakes=kind) if kind else None
    return Trials(
        len(rows),
        faithful.table(),
        stable.table(),
        _sanity(parts).table(),
        _agreement(tested, faithful, truth),
    )


def trial_cost(methods: Sequence[str], settings: TrialSettings) -> float:
    """What ``trials`` cost, over surveying one image: roughly."""
    passes = 1 + _STABLE + settings.draws + settings.stops
    each = _orders(methods, settings) * settings.faithful + passes * cost(methods)
    return settings.images * each


def imputing_seconds(size: int, methods: Sequence[str], settings: TrialSettings) -> float:
    """What ROAD's imputation takes beside that, by one image of ``size`` px that is imputed here:
    it needs no network, and grows with the fourth power of the size."""
    removed = np.random.default_rng(0).random((size, size)) < np.mean(settings.fractions)
    started = time.perf_counter()
    faithfulness.impute(np.zeros((3, size, size)), removed)
    one = time.perf_counter() - started
    number = 2 * len(settings.fractions) * _orders(methods, settings) * settings.images
    return one * number


def _orders(methods: Sequence[str], settings: TrialSettings) -> int:
    """Orders of pixels that are tried on each image: one for each map, and a random one."""
    return 1 + sum(settings.depths if METHODS[name].of_layers else 1 for name in methods)


def _means(tested: TestSet, *columns: str) -> ImageMeans:
    """An empty table with these columns in its keys."""
    return ImageMeans(columns, resamples=tested.resamples, seed=tested.seed)


def _gather(
    means: ImageMeans,
    parts: Sequence["_Sample"],
    look: Callable[["_Sample"], Numbers],
    what: str,
    units: float,
) -> None:
    """Add what ``look`` finds of every part, which takes so many ``units`` an image, to ``means``;
    processes share the parts."""
    looked = progress(parts[0].tested.world.dealt(look, parts), what, len(parts))
    for part, found in zip(parts, looked, strict=True):
        means.add_all(found, part.persons)
        worked(units * len(part.rows))


def _sanity(parts: Sequence["_Sample"]) -> ImageMeans:
    """How alike the maps are after ever more of the network was drawn anew."""
    tested, methods, settings = parts[0].tested, parts[0].methods, parts[0].settings
    names = stages(tested.detector)
    count = min(settings.stops, len(names))
    stops = [names[int(at)] for at in np.unique(np.linspace(0, len(names) - 1, count).round())]
    means = _means(tested, "method", "layer", "part")
    for stage, network in cascade(tested.detector, stops=stops, seed=tested.seed):
        assert isinstance(network, Detector)
        look = partial(_Sample.likeness, network=network.eval(), stage=stage)
        _gather(means, parts, look, f"sanity: {stage}", cost(methods))
    return means


def _agreement(
    tested: TestSet, faithful: ImageMeans, truth: tuple[list[Name], np.ndarray, list[str]] | None
) -> pd.DataFrame:
    """Kendall's tau of every measure with planted truth, over the maps that both know."""
    if truth is None:
        return pd.DataFrame()
    known, values, theirs = truth
    both = [name for name in faithful if name in known]
    if len(both) < 2:  # no ranking
        return pd.DataFrame()
    measures = {
        measure: np.stack([faithful.values(name)[measure] for name in both], axis=1)
        for measure in faithful.values(both[0])
    }
    return agreements(
        measures,
        values[:, [known.index(name) for name in both]],
        faithful.persons(both[0]),
        theirs,
        higher_is_better=faithfulness.HIGHER_IS_BETTER,
        resamples=tested.resamples,
        seed=tested.seed,
    )


@dataclass(frozen=True)
class _Sample:
    """Some images of a test set, and the maps that are put to trial on them."""

    tested: TestSet
    rows: Sequence[int]
    methods: Sequence[str]
    layers: Sequence[str]
    settings: TrialSettings

    @cached_property
    def batch(self) -> torch.Tensor:
        return self.tested.batch(self.rows)

    @cached_property
    def ids(self) -> list[str]:
        return self.tested.ids(self.rows)

    @cached_property
    def persons(self) -> list[str]:
        return self.tested.persons[self.rows].tolist()

    @cached_property
    def before(self) -> dict[Name, np.ndarray]:
        """The maps of the images as they are."""
        return self.maps(self.batch)

    def maps(self, images: torch.Tensor, network: Detector | None = None) -> dict[Name, np.ndarray]:
        """Every map of the images, of the detector unless another network is given."""
        explanation = explain(
            network or self.tested.detector,
            images,
            methods=self.methods,
            layers=self.layers,
            seed=self.tested.seed,
        )
        by_method = believable(explanation)
        return {(method, at): maps for method, by in by_method.items() for at, maps in by.items()}

    def score(self, images: torch.Tensor) -> torch.Tensor:
        """Margins (B,)."""
        with torch.no_grad():
            return self.tested.detector.margin(images)

    def faithfulness(self) -> Numbers:
        """The measures of every map, and of a random order."""
        size, seed = self.batch.shape[-1], self.tested.seed
        ranks = {
            name: faithfulness.ranking(enlarge(maps, size), self.ids, seed=seed)
            for name, maps in self.before.items()
        }
        ranks[RANDOM] = faithfulness.random_order(self.ids, size, seed=seed)
        return {
            name: faithfulness.measure(
                self.score, self.batch, order, self.ids,
                steps=self.settings.steps, fractions=self.settings.fractions, seed=seed,
            )
            for name, order in ranks.items()
        }  # fmt: skip

    def stability(self) -> Numbers:
        """How far every map changes under noise and under blur, and the margin under blur."""
        sensitive = max_sensitivity(
            self.maps, self.batch, self.ids, draws=self.settings.draws, seed=self.tested.seed
        )
        blurred = blur(self.batch, list(self.ids), sigma=BLUR)
        changed, scores = under_change(
            self.maps, self.score, self.batch, blurred, self.tested.threshold
        )
        margins = {name: scores[name] for name in ("margin_change", "flipped")}
        return {
            name: {
                "max_sensitivity": sensitive[name],
                "blur_change": values["change"],
                "blur_spearman": values["spearman"],
            }
            | margins
            for name, values in changed.items()
        }

    def likeness(self, *, network: Detector, stage: str) -> Numbers:
        """How alike every map is to that of another network, of which ``stage`` is noted."""
        return {
            (*name, stage): compare(self.before[name], maps)
            for name, maps in self.maps(self.batch, network).items()
        }
