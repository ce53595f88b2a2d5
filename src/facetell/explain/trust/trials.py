"""Whether maps deserve belief where no truth is planted: faithfulness, sanity, stability, on a
sample of fakes, and how far these agree with planted truth where it is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from facetell.evaluation.perturbations.degradation import blur
from facetell.explain.engine import explain
from facetell.explain.layers import layers, map_layers
from facetell.explain.trust import faithfulness
from facetell.explain.trust.agreement import agreements
from facetell.explain.trust.image_means import Tally
from facetell.explain.trust.planted import enlarge_all
from facetell.explain.trust.sanity import cascade, compare, stages
from facetell.explain.trust.stability import max_sensitivity, under_change
from facetell.models.detector import Detector

Name = tuple[str, str]  # method, layer
Score = Callable[[torch.Tensor], torch.Tensor]
Maps = Callable[..., dict[Name, np.ndarray]]  # of images, and of another network if one is given
RANDOM = ("random order", "")  # the zero level of faithfulness
BLUR = 2.0  # px: the UIUC report's stronger one
SMALLEST = 4  # cells on a side of a map that is put to trial


@dataclass(frozen=True)
class Settings:
    """How much is tried: ``images``, and per measure its points, pixels removed and draws.

    ``depths`` is the number of layers, spread over the network's listed ones; ``fractions`` those
    of ROAD (none: without it); ``stops`` the number of stages of the randomisation.
    """

    images: int
    depths: int
    steps: int
    fractions: tuple[float, ...]
    draws: int
    stops: int


@dataclass
class Trials:
    """Tables of one detector, each row a map (method, layer) with intervals by person."""

    n: int
    faithfulness: pd.DataFrame
    stability: pd.DataFrame
    sanity: pd.DataFrame
    agreement: pd.DataFrame


def trials(
    detector: Detector,
    batch: torch.Tensor,
    ids: Sequence[str],
    persons: Sequence[str],
    threshold: float,
    methods: Sequence[str],
    settings: Settings,
    *,
    truth: tuple[list[Name], np.ndarray, list[str]] | None,
    resamples: int,
    seed: int,
) -> Trials:
    """Put one-pass maps to trial on some fakes, float RGB in [0, 1] (B, 3, S, S).

    ``truth`` is what ``Leaderboard.values`` gives of planted truth, on whatever images.

    Each table names ``method`` and ``layer``. ``faithfulness`` has the measures of
    ``facetell.explain.trust.faithfulness.measure`` and a row for a random order; ``stability`` the
    largest change under noise (``max_sensitivity``), and change and rank correlation under blur,
    with the change of the margin; ``sanity`` the likeness of maps after each ``part``, from the
    logits down, was drawn anew; ``agreement`` Kendall's tau of each measure with planted truth.
    """
    chosen = depths(detector, batch, settings.depths)
    shared = {"resamples": resamples, "seed": seed}

    def maps(images: torch.Tensor, network: Detector = detector) -> dict[Name, np.ndarray]:
        found = explain(network, images, methods=methods, layers=chosen).maps
        return {(m, at): np.nan_to_num(v) for m, by in found.items() for at, v in by.items()}

    def score(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return detector.margin(images)

    before = maps(batch)
    faith = Tally(("method", "layer"))
    size = batch.shape[-1]
    ranks = {
        name: faithfulness.ranking(enlarge_all(values, size), ids, seed=seed)
        for name, values in before.items()
    }
    ranks[RANDOM] = faithfulness.random_order(ids, size, seed=seed)
    for name, order in ranks.items():
        measured = faithfulness.measure(
            score, batch, order, ids, steps=settings.steps, fractions=settings.fractions, seed=seed
        )
        faith.add(name, measured, persons)
    return Trials(
        len(batch),
        faith.table(**shared),
        _stability(maps, score, batch, ids, persons, threshold, settings, seed).table(**shared),
        _sanity(detector, maps, before, batch, persons, settings, seed).table(**shared),
        _agreement(faith, list(before), persons, truth, resamples, seed),
    )


def depths(detector: Detector, images: torch.Tensor, count: int) -> list[str]:
    """So many of the listed layers, evenly spread from the first to the deepest that still has
    ``SMALLEST`` cells on a side."""
    sides = map_layers(detector, images)
    fine = [name for name in layers(detector) if min(sides.get(name, (0, 0))) >= SMALLEST]
    places = np.unique(np.linspace(0, len(fine) - 1, min(count, len(fine))).round().astype(int))
    return [fine[place] for place in places]


def _stability(
    maps: Maps,
    score: Score,
    batch: torch.Tensor,
    ids: Sequence[str],
    persons: Sequence[str],
    threshold: float,
    settings: Settings,
    seed: int,
) -> Tally:
    sensitive = max_sensitivity(maps, batch, ids, draws=settings.draws, seed=seed)
    blurred = blur(batch, list(ids), sigma=BLUR)
    changed, scores = under_change(maps, score, batch, blurred, threshold)
    tally = Tally(("method", "layer"))
    for name, values in changed.items():
        row = {"max_sensitivity": sensitive[name], "blur_change": values["change"]}
        row |= {"blur_spearman": values["spearman"], "margin_change": scores["margin_change"]}
        tally.add(name, row | {"flipped": scores["flipped"]}, persons)
    return tally


def _sanity(
    detector: Detector,
    maps: Maps,
    before: dict[Name, np.ndarray],
    batch: torch.Tensor,
    persons: Sequence[str],
    settings: Settings,
    seed: int,
) -> Tally:
    parts = stages(detector)
    at = np.unique(np.linspace(0, len(parts) - 1, min(settings.stops, len(parts))).round())
    tally = Tally(("method", "layer", "part"))
    for part, network in cascade(detector, stops=[parts[int(place)] for place in at], seed=seed):
        assert isinstance(network, Detector)
        for name, values in maps(batch, network.eval()).items():
            tally.add((*name, part), compare(before[name], values), persons)
    return tally


def _agreement(
    faith: Tally,
    tried: list[Name],
    persons: Sequence[str],
    truth: tuple[list[Name], np.ndarray, list[str]] | None,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Kendall's tau of every measure with planted truth, over the maps that both know."""
    if truth is None:
        return pd.DataFrame()
    known, values, theirs = truth
    both = [name for name in tried if name in known]
    measures = {
        measure: np.stack([faith.values(name)[measure] for name in both], axis=1)
        for measure in faith.values(both[0])
    }
    return agreements(
        measures,
        values[:, [known.index(name) for name in both]],
        list(persons),
        theirs,
        higher_is_better=faithfulness.HIGHER_IS_BETTER,
        resamples=resamples,
        seed=seed,
    )
