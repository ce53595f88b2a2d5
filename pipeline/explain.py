# SPDX-License-Identifier: Apache-2.0
"""explain: where one detector looks, whether its maps can be believed, as figures and numbers."""

from collections import deque
from contextlib import AbstractContextManager

from facetell.common.distributed import current, launch
from facetell.common.errors import UserError
from facetell.common.figure_style import save_all
from facetell.common.files import write_json
from facetell.common.machine import device
from facetell.common.progress import estimating
from facetell.dataset.stored import in_order, read_manifest
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import CONTROL, read
from facetell.explain.registry import cost
from facetell.explain.survey import kept_maps as kept
from facetell.explain.survey.records import of_planted, of_replaced, of_survey, of_trials
from facetell.explain.survey.replaced import compared, replaced_regions
from facetell.explain.survey.sampled import sampled, worst_mistakes
from facetell.explain.survey.survey import survey
from facetell.explain.test_set import TestSet
from facetell.explain.trust.planted_benchmark import planted_benchmark, planted_cost
from facetell.explain.trust.trials import TrialSettings, imputing_seconds, trial_cost, trials
from facetell.explain.trust.verdict import stored
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.models.detector import Detector
from facetell.report.figures.explained import Shown, figures
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

DRAWN = 15  # seconds of the figures
NEEDED = (  # of the manifest's columns
    *("id", "label", "person", "generator", "platform"),
    *("regions", "artefacts", "mask", "twin"),
)


def main(model: str) -> None:
    launch(explain, Settings.load().processes, model)


def explain(model: str) -> None:
    """What every process does; the first one writes."""
    settings, world = Settings.load(), current()
    chosen, suite = settings.explain, settings.explain.chosen
    detector = Detector.load(paths.weights(model)).to(device())
    tested = explained_set(detector, model, settings, "test")
    validated = explained_set(detector, model, settings, "valid")
    defined = tested.defined_methods()
    judged = [name for name in suite.methods if name in defined]
    if not judged:
        raise UserError(
            f"explain.suites.{chosen.suite}.methods: none of {', '.join(suite.methods)} is defined "
            f"for {model}; add one of {', '.join(defined)}"
        )
    trial = TrialSettings.of(dict(suite.trials))
    shown_rows = looked_at(tested, settings)
    scored = planted_cost(tested, validated, methods=judged, most=suite.planted)
    replaced_cost = cost(judged) * len(compared(tested, suite.planted))
    with announced(model, tested, judged, trial, scored + replaced_cost + len(shown_rows)):
        seen = survey(tested, per_group=chosen.per_group, permutations=suite.permutations)
        truth = planted_benchmark(tested, validated, methods=judged, most=suite.planted)
        replaced = replaced_regions(tested, methods=judged, most=suite.planted)
        tried = trials(tested, truth, judged, trial)
        planted = world.agreed(of_planted(truth) if world.first else None)
        verdicts = stored(planted["planted"]) if planted else {}
        best = kept.recommended(verdicts, seen.layer)
        maps = kept.kept_maps(tested, shown_rows, best)
    shown = Shown.of(model, settings.data.name, defined, suite.costly, **dict(suite.activation))
    drawn = ((f"{name}.png", figure) for name, figure in figures(tested, seen, shown))
    if not world.first:
        deque(drawn, maxlen=0)  # to make its share of them
        return
    kept.write(paths.maps(model), maps)
    facts = {"model": model, "suite": chosen.suite, "layer": seen.layer, "images": seen.counts}
    facts |= of_survey(model, seen) | of_replaced(replaced) | planted | of_trials(tried)
    write_json(paths.explained(model), facts, digits=4)
    save_all(drawn, paths.explanations(model))


def looked_at(tested: TestSet, settings: Settings) -> list[int]:
    """Rows of the images that the report shows one by one: the sample, and the worst mistakes."""
    drawn = sampled(tested.manifest, settings.report.images, settings.train.seed)
    worst = worst_mistakes(tested.labels, tested.margins, tested.threshold)
    return sorted({*drawn.tolist(), *worst.tolist()})


def announced(
    model: str,
    tested: TestSet,
    methods: list[str],
    trial: TrialSettings,
    more: float,
) -> AbstractContextManager[None]:
    """What all of it costs, in units of surveying an image: survey, trials, and ``more``."""
    total = len(tested.images) + trial_cost(methods, trial) + more
    what = f"explain {model}: {len(tested.images):,} images, {len(methods)} methods put to the test"
    imputed = imputing_seconds(tested.images.size, methods, trial)
    return estimating(what, total, afterwards=DRAWN + imputed)


def explained_set(detector: Detector, model: str, settings: Settings, split: str) -> TestSet:
    """A trained detector with the packed images of a split and its margins on them."""
    card = detector.card
    images = Images(Packed(paths.PACKED[split]), card.image_size, keep=True)
    own = in_order(read_manifest(paths.MANIFEST, NEEDED, [split]), images.packed.ids)
    predictions = read(paths.predictions(model))
    table = predictions.table
    twins = ((table["split"] == split) & (table["variant"] == CONTROL)).any()
    return TestSet(
        detector=detector,
        images=images,
        manifest=own,
        threshold=card.threshold,
        margins=margins_of(predictions, own, "clean", split=split),
        margins_without=margins_of(predictions, own, CONTROL, split=split) if twins else None,
        frame=settings.data.frame,
        resamples=settings.score.resamples,
        seed=settings.train.seed,
        world=current(),
    )


if __name__ == "__main__":
    run(main)
