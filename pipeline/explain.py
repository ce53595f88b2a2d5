"""explain: where one detector looks, whether its maps can be believed, as figures and numbers."""

import numpy as np
import pandas as pd
from scipy.special import expit

from facetell.common.figure_style import save
from facetell.common.files import write_json
from facetell.common.labels import CLASSES
from facetell.common.machine import device
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import CONTROL, read
from facetell.explain import METHODS, defined_methods
from facetell.explain.survey.records import of_planted, of_survey, of_trials
from facetell.explain.survey.showing import explained, states
from facetell.explain.survey.survey import CAM, Planted, Survey, batch_of, planted, survey
from facetell.explain.trust.trials import Settings as TrialSettings
from facetell.explain.trust.trials import Trials, trials
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.models.detector import Card, Detector, load
from facetell.report.figures.class_means import Means, class_means
from facetell.report.figures.layers import every_layer
from facetell.report.figures.regions import regions
from facetell.report.figures.sheets import gradcam_pairs, methods_side_by_side, saliency_pairs
from pipeline import paths
from pipeline.settings import ExplainSuite, Settings
from pipeline.stage import run

KINDS = ("several", "single")  # of fakes that trials are made on: the first that has enough


def main(model: str) -> None:
    settings = Settings.load()
    suite = settings.explain.chosen
    seed, resamples = settings.train.seed, settings.score.resamples
    detector, card = load(paths.weights(model))
    place = device()
    detector.to(place)
    images = Images(Packed(paths.PACKED["test"]), card.image_size)
    manifest = pd.read_parquet(paths.MANIFEST)
    test = manifest[manifest["split"] == "test"].set_index("id").loc[images.packed.ids]
    test = test.reset_index()
    predictions = read(paths.predictions(model))
    clean = margins_of(predictions, test, "clean")
    first = batch_of(images, [0], place)
    usable = [name for name, why in defined_methods(detector, first).items() if not why]
    judged = [name for name in suite.methods if name in usable]

    seen = survey(
        detector,
        images,
        card.threshold,
        test,
        per_group=settings.explain.per_group,
        frame=settings.data.frame,
        seed=seed,
        permutations=suite.permutations,
        device=place,
    )
    truth = Planted({})
    if CONTROL in predictions.table["variant"].cat.categories:
        truth = planted(
            detector,
            images,
            card.threshold,
            test,
            clean,
            margins_of(predictions, test, CONTROL),
            methods=judged,
            most=suite.planted,
            seed=seed,
            device=place,
        )
    tried = on_trial(detector, images, card, test, clean, truth, judged, suite, resamples, seed)
    draw(model, settings, detector, images, card, seen, usable, suite.costly)
    found = {
        "model": model,
        "suite": settings.explain.suite,
        "layer": seen.layer,
        "images": seen.counts,
    }
    found |= of_survey(model, seen, resamples, seed) | of_planted(truth, resamples, seed)
    write_json(paths.explained(model), found | of_trials(tried), digits=4)


def on_trial(
    detector: Detector,
    images: Images,
    card: Card,
    test: pd.DataFrame,
    clean: np.ndarray,
    truth: Planted,
    methods: list[str],
    suite: ExplainSuite,
    resamples: int,
    seed: int,
) -> Trials | None:
    """Trials on fakes that are told by what was planted, else on fakes that are found."""
    settings = TrialSettings(**dict(suite.trials) | {"fractions": tuple(suite.trials.fractions)})
    kind = next((kind for kind in KINDS if kind in truth.boards), None)
    fakes = truth.fakes[kind] if kind else []
    if not fakes:
        found = (test["label"].to_numpy() == 1) & (clean >= card.threshold)
        fakes = np.flatnonzero(found).tolist()
    rows = fakes[: settings.images]
    if len(rows) < 2:
        return None
    place = next(detector.parameters()).device
    return trials(
        detector,
        batch_of(images, rows, place),
        [images.packed.ids[row] for row in rows],
        test["person"].astype(str).iloc[rows].tolist(),
        card.threshold,
        methods,
        settings,
        truth=truth.boards[kind].values("rra", "trained", kind) if kind else None,
        resamples=resamples,
        seed=seed,
    )


def means_of(seen: Survey) -> list[Means]:
    """What the figure of class means shows."""
    titles = {"saliency": "saliency", CAM: f"Grad-CAM at {seen.layer}"}
    return [
        Means(
            titles[name],
            means.real.mean,
            means.fake.mean,
            means.real.n,
            means.fake.n,
            means.difference(),
            signed=name == CAM,
        )
        for name, means in seen.means.items()
    ]


def draw(
    model: str,
    settings: Settings,
    detector: Detector,
    images: Images,
    card: Card,
    seen: Survey,
    usable: list[str],
    costly: bool,
) -> None:
    """All figures of one model."""
    folder = paths.explanations(model)
    about = f"{model} on the test images of {settings.data.name}"
    verdict = f"{about}\nverdict: fake from P(fake) = {expit(card.threshold):.2f} on"
    save(saliency_pairs(seen.examples, f"Saliency: {verdict}"), folder / "saliency.png")
    cams = gradcam_pairs(seen.examples, CAM, seen.layer, f"Grad-CAM at {seen.layer}: {verdict}")
    save(cams, folder / "gradcam.png")
    if seen.means:
        save(class_means(means_of(seen), f"Class means: {about}"), folder / "class_means.png")
    if seen.regions is not None:
        table = seen.regions.table(resamples=settings.score.resamples)
        save(regions(table, f"Where {about} looks"), folder / "regions.png")
    one_of_each = {example.label: example for example in reversed(seen.examples)}
    for label, example in one_of_each.items():
        rows = states(detector, images, card, example)
        title = f"Grad-CAM at every layer: {verdict}"
        save(
            every_layer(rows, CAM, title, one_scale=False),
            folder / f"layers_{CLASSES[int(label or 0)]}.png",
        )
    names = [name for name in usable if costly or not METHODS[name].costly]
    if seen.examples:
        shown = explained(detector, images, card, seen.examples[0], names, seen.layer)
        sheet = methods_side_by_side([shown], seen.layer, f"Methods at {seen.layer}: {verdict}")
        save(sheet, folder / "methods.png")


if __name__ == "__main__":
    run(main)
