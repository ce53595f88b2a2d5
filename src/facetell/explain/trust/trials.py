# SPDX-License-Identifier: Apache-2.0
"""Whether maps deserve belief where no truth is planted: faithfulness, sanity, stability, on a
sample of fakes, and how far these agree with planted truth where it is known."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
from facetell.explain.trust.image_means import ImageMeans
from facetell.explain.trust.planted import METRIC
from facetell.explain.trust.planted_benchmark import PlantedBenchmark
from facetell.explain.trust.sanity import cascade, compare, stages
from facetell.explain.trust.stability import max_sensitivity, under_change
from facetell.models.detector import Detector

Name = tuple[str, str]  # method, layer
RANDOM = ("random order", "")  # the zero level of faithfulness
BLUR = 2.0  # px: the UIUC report's stronger one
SMALLEST = 4  # cells on a side of a map that is put to trial
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
    sample = _Sample(tested, rows, methods, settings)
    faithful = sample.faithfulness()
    truth = planted.boards[kind].values(METRIC, source="trained", fakes=kind) if kind else None
    return Trials(
        len(rows),
        faithful.table(),
        sample.stability().table(),
        sample.sanity().table(),
        sample.agreement(faithful, truth),
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


@dataclass(frozen=True)
class _Sample:
    """Some images of a test set, and the maps that are put to trial on them."""

    tested: TestSet
    rows: Sequence[int]
    methods: Sequence[str]
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
    def layers(self) -> list[str]:
        return spread_layers(self.tested.detector, self.batch, self.settings.depths, least=SMALLEST)

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

    def means(self, *columns: str) -> ImageMeans:
        """An empty table with these columns in its keys."""
        return ImageMeans(columns, resamples=self.tested.resamples, seed=self.tested.seed)

    def faithfulness(self) -> ImageMeans:
        size, seed = self.batch.shape[-1], self.tested.seed
        ranks = {
            name: faithfulness.ranking(enlarge(maps, size), self.ids, seed=seed)
            for name, maps in self.before.items()
        }
        ranks[RANDOM] = faithfulness.random_order(self.ids, size, seed=seed)
        means = self.means("method", "layer")
        for name, order in progress(ranks.items(), "faithfulness"):
            measured = faithfulness.measure(
                self.score, self.batch, order, self.ids,
                steps=self.settings.steps, fractions=self.settings.fractions, seed=seed,
            )  # fmt: skip
            means.add(name, measured, self.persons)
            worked(self.settings.faithful * len(self.ids))
        return means

    def stability(self) -> ImageMeans:
        sensitive = max_sensitivity(
            self.maps, self.batch, self.ids, draws=self.settings.draws, seed=self.tested.seed
        )
        blurred = blur(self.batch, list(self.ids), sigma=BLUR)
        changed, scores = under_change(
            self.maps, self.score, self.batch, blurred, self.tested.threshold
        )
        worked((_STABLE + self.settings.draws) * cost(self.methods) * len(self.ids))
        means = self.means("method", "layer")
        for name, values in changed.items():
            row = {"max_sensitivity": sensitive[name], "blur_change": values["change"]}
            row |= {"blur_spearman": values["spearman"], "margin_change": scores["margin_change"]}
            means.add(name, row | {"flipped": scores["flipped"]}, self.persons)
        return means

    def sanity(self) -> ImageMeans:
        detector, seed = self.tested.detector, self.tested.seed
        parts = stages(detector)
        count = min(self.settings.stops, len(parts))
        stops = [parts[int(at)] for at in np.unique(np.linspace(0, len(parts) - 1, count).round())]
        means = self.means("method", "layer", "part")
        anew = cascade(detector, stops=stops, seed=seed)
        for part, network in progress(anew, "sanity", len(stops)):
            assert isinstance(network, Detector)
            for name, maps in self.maps(self.batch, network.eval()).items():
                means.add((*name, part), compare(self.before[name], maps), self.persons)
            worked(cost(self.methods) * len(self.ids))
        return means

    def agreement(
        self, faithful: ImageMeans, truth: tuple[list[Name], np.ndarray, list[str]] | None
    ) -> pd.DataFrame:
        """Kendall's tau of every measure with planted truth, over the maps that both know."""
        if truth is None:
            return pd.DataFrame()
        known, values, theirs = truth
        both = [name for name in self.before if name in known]
        if len(both) < 2:  # no ranking
            return pd.DataFrame()
        measures = {
            measure: np.stack([faithful.values(name)[measure] for name in both], axis=1)
            for measure in faithful.values(both[0])
        }
        return agreements(
            measures,
            values[:, [known.index(name) for name in both]],
            self.persons,
            theirs,
            higher_is_better=faithfulness.HIGHER_IS_BETTER,
            resamples=self.tested.resamples,
            seed=self.tested.seed,
        )
