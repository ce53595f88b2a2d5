# SPDX-License-Identifier: Apache-2.0
"""compare: tables, paired tests, curves and figures over the models that params.yaml selects, and
the headline."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from facetell.common.figure_style import save_all
from facetell.common.files import read_json, write_csv, write_json, write_text
from facetell.common.progress import estimating
from facetell.curves import Curves, curves_of
from facetell.dataset.stored import read_manifest
from facetell.evaluation.frequency_sensitivity import sensitivity
from facetell.evaluation.learning_curve import by_epoch
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import read
from facetell.evaluation.robustness import Scores, robustness
from facetell.explain.trust.verdict import Belief, stored
from facetell.images.spectra import NETWORK
from facetell.metrics.intervals import Resamples
from facetell.metrics.paired_tests import compare
from facetell.report.detectors import headline_of, report, summary
from facetell.report.explanations import explain_report
from facetell.report.figures import curves as errors
from facetell.report.figures import scores as scoring
from facetell.report.figures.frequency_sensitivity import frequency_sensitivity
from facetell.report.figures.leaderboard import agreement, leaderboard
from facetell.report.figures.learning import learning
from facetell.report.figures.regions import regions_of_models
from facetell.report.figures.robustness import NUMBERS, drops, flips, levels
from facetell.report.published_tables import OurData, tables
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

DRAWN, DRAWN_PER_MODEL = 10, 2  # seconds of the figures
KINDS = {
    "single": "Which maps find a single planted artefact",
    "several": "Which maps find several planted artefacts",
    "altered": "Which maps find the pixels that were altered",
}


def main() -> None:
    settings = Settings.load()
    # from the parameters, not from what lies in the folders: other runs leave files there
    models = list(settings.models)
    rated = [*models, NETWORK]  # the baseline stands in every table, but is no choice
    headline = headline_of(models, settings.headline)
    data, scores = read_json(paths.DATA), {m: read_json(paths.scores(m)) for m in rated}
    looked = {model: read_json(paths.explained(model)) for model in models}
    test = tested_images()

    what = f"compare: {len(rated)} models, each resampled {settings.score.resamples:,} times"
    with estimating(what, len(rated), afterwards=DRAWN + DRAWN_PER_MODEL * len(rated)):
        curves, pairs = on_test_images(scores, test, settings)
    log = pd.concat([learning_log(model, test) for model in models], ignore_index=True)
    changes = robustness(scores)
    bands = sensitivity(changes)
    frames = curves.frames() | {"learning": log, "robustness": changes, "frequency": bands}
    for key, frame in frames.items():
        write_csv(paths.curve(key), frame, digits=5)
    best = {model: scores[model]["training"]["cost"]["best_epoch"] for model in models}
    figures = chain(
        drawn(curves, temperatures_of(scores), changes, bands),
        [("learning", learning(log, best))],
        drawn_explained(looked),
    )
    save_all(figures, paths.COMPARISONS)

    name = settings.data.name
    found = tables(scores, log, OurData.of(name, data))
    write_tables(found | {"pairs": pairs})
    text = report(scores, data, name, found, pairs, headline)
    write_text(paths.REPORT, text + "\n" + explain_report(looked))
    write_json(paths.SUMMARY, summary(scores[headline]), digits=4)


def tested_images() -> pd.DataFrame:
    """The rows of the manifest that are tested."""
    return read_manifest(paths.MANIFEST, ["id", "label", "person", "split"], ["test"])


def on_test_images(
    scores: Scores, test: pd.DataFrame, settings: Settings
) -> tuple[Curves, pd.DataFrame]:
    """The curves of all models and the paired tests between them, from stored predictions."""
    labels, margins, thresholds = test["label"].to_numpy(), {}, {}
    for model in scores:
        predictions = read(paths.predictions(model))
        margins[model] = margins_of(predictions, test, "clean")
        thresholds[model] = predictions.threshold
    draws = Resamples(test["person"], resamples=settings.score.resamples, seed=settings.train.seed)
    curves = curves_of(labels, margins, thresholds, temperatures_of(scores), draws)
    return curves, compare(labels, margins, thresholds, draws)


def temperatures_of(scores: Scores) -> dict[str, float]:
    return {model: found["calibration"]["temperature"] for model, found in scores.items()}


def write_tables(found: dict[str, pd.DataFrame]) -> None:
    for stale in paths.TABLES.glob("*.csv"):  # of another selection
        stale.unlink()
    for key, table in found.items():
        write_csv(paths.TABLES / f"{key}.csv", table, digits=5)


def drawn(
    curves: Curves, temperatures: dict[str, float], changes: pd.DataFrame, bands: pd.DataFrame
) -> Iterator[tuple[str, Figure]]:
    """Every figure of scores by its name; one that has nothing to show is not there: no ROC of one
    class, no frequencies without filters."""
    if curves.roc:
        yield "roc", errors.roc(curves.roc)
        yield "det", errors.det(curves.det)
        yield "pr", errors.precision_recall(curves.pr)
    yield "scores", scoring.histograms(curves.histograms)
    yield "reliability", scoring.reliability(curves.before, curves.after, temperatures)
    if (changes["perturbation"].notna() & ~changes["probe"]).any():
        for number in NUMBERS:
            if changes[number].notna().any():
                yield f"robustness_{number}", levels(changes, number)
        yield "drops", drops(changes)
        yield "flips", flips(changes)
    if len(bands):
        yield "frequency", frequency_sensitivity(bands)


def drawn_explained(explained: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Which maps can be believed, where they lie, and which measures agree with planted truth.
    What can be believed was decided by the explain stage; here it is only read."""
    planted = {m: stored(facts["planted"]) for m, facts in explained.items() if "planted" in facts}
    for kind, title in KINDS.items():
        verdicts = {m: kinds[kind] for m, kinds in planted.items() if kind in kinds}
        if any(verdict.scope != Belief.NONE for verdict in verdicts.values()):
            yield f"leaderboard_{kind}", leaderboard(verdicts, title)
    shares = {m: pd.DataFrame(facts.get("regions", [])) for m, facts in explained.items()}
    shares = {
        m: table for m, table in shares.items() if len(table) and (table["class"] == "fake").any()
    }
    if shares:
        yield "regions", regions_of_models(shares, "Where detectors look in fakes")
    tried = {m: facts["trials"]["agreement"] for m, facts in explained.items() if "trials" in facts}
    ranked = [pd.DataFrame(rows).assign(model=model) for model, rows in tried.items() if rows]
    if ranked:
        title = "Do measures of faithfulness rank maps as planted truth does?"
        yield "agreement", agreement(pd.concat(ranked), title)


def learning_log(model: str, test: pd.DataFrame) -> pd.DataFrame:
    """A model's training log with its test curve; labels meet the test margins only here."""
    log = pd.read_csv(paths.training_log(model))
    curve = by_epoch(pd.read_parquet(paths.epochs(model)), test.set_index("id")["label"])
    log.insert(0, "model", model)
    return log.merge(curve, on="epoch", how="left", validate="one_to_one")


if __name__ == "__main__":
    run(main)
