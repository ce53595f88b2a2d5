"""compare: tables, paired tests, curves and figures over the models that params.yaml selects, and
the headline."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from facetell.common.figure_style import save
from facetell.common.files import whole, write_json
from facetell.curves import Curves, by_epoch, curves_of, sensitivity
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import read
from facetell.evaluation.robustness import robustness
from facetell.explain.trust.verdict import Belief, stored
from facetell.images.spectra import NETWORK
from facetell.metrics.intervals import Resamples
from facetell.metrics.paired_tests import compare
from facetell.report.detectors import report, summary
from facetell.report.explanations import explain_report
from facetell.report.figures import curves as errors
from facetell.report.figures import scores as scoring
from facetell.report.figures.frequency import frequency
from facetell.report.figures.leaderboard import agreement, leaderboard
from facetell.report.figures.learning import learning
from facetell.report.figures.regions import regions_of_models
from facetell.report.figures.robustness import NUMBERS, drops, flips, levels
from facetell.report.tables import tables
from pipeline.stage import params, run

KINDS = {
    "single": "Which maps find a single planted artefact",
    "several": "Which maps find several planted artefacts",
}
TABLES, FIGURES = Path("metrics/tables"), Path("plots/compare")


def main() -> None:
    settings = params()
    # from the parameters, not from what lies in the folders: other runs leave files there
    models = list(settings["models"])
    rated = [*models, NETWORK]  # the baseline stands in every table, but is no choice
    scores = {m: json.loads(Path(f"metrics/models/{m}.json").read_text()) for m in rated}
    data, name = json.loads(Path("metrics/data.json").read_text()), settings["data"]["name"]
    manifest = pd.read_parquet("data/manifest.parquet")
    test = manifest[manifest["split"] == "test"].reset_index(drop=True)
    labels = test["label"].to_numpy()
    margins, thresholds = {}, {}
    for model in rated:
        predictions = read(f"data/predictions/{model}.parquet")
        margins[model] = margins_of(predictions, test, "clean")
        thresholds[model] = predictions.threshold
    draws = Resamples(
        test["person"],
        resamples=settings["score"]["resamples"],
        seed=settings["train"]["seed"],
    )
    temperatures = {m: scores[m]["calibration"]["temperature"] for m in rated}
    curves = curves_of(labels, margins, thresholds, temperatures, draws)
    pairs = compare(labels, margins, thresholds, draws)
    log = pd.concat([learning_log(m, test) for m in models], ignore_index=True)
    changes = robustness(scores)
    bands = sensitivity(changes)
    frames = curves.frames() | {"learning": log, "robustness": changes, "frequency": bands}
    for key, frame in frames.items():
        write_csv(f"plots/{key}.csv", frame)
    best = {m: scores[m]["training"]["cost"]["best_epoch"] for m in models}
    draw(curves, temperatures, changes, bands)
    save(learning(log, best), FIGURES / "learning")
    explained = {m: json.loads(Path(f"metrics/explain/{m}.json").read_text()) for m in models}
    draw_explained(explained)
    found = tables(scores, log, name, data["counts"])
    for stale in TABLES.glob("*.csv"):  # of another selection
        stale.unlink()
    for key, table in (found | {"pairs": pairs}).items():
        write_csv(TABLES / f"{key}.csv", table)
    headline = settings["headline"]
    with whole("metrics/report.md") as path:
        text = report(scores, data, name, found, pairs, headline)
        path.write_text(text + "\n" + explain_report(explained), encoding="utf-8")
    chosen = {model: scores[model] for model in models}
    write_json("metrics/summary.json", summary(chosen, headline), digits=4)


def draw(
    curves: Curves, temperatures: dict[str, float], changes: pd.DataFrame, bands: pd.DataFrame
) -> None:
    """Every figure but the learning curves, as PNG and PDF; one that has nothing to show is not
    there: no ROC of one class, no frequencies without filters."""
    if curves.roc:
        save(errors.roc(curves.roc), FIGURES / "roc")
        save(errors.det(curves.det), FIGURES / "det")
        save(errors.precision_recall(curves.pr), FIGURES / "pr")
    save(scoring.histograms(curves.histograms), FIGURES / "scores")
    save(scoring.reliability(curves.before, curves.after, temperatures), FIGURES / "reliability")
    if (changes["perturbation"].notna() & ~changes["probe"]).any():
        for number in NUMBERS:
            if changes[number].notna().any():
                save(levels(changes, number), FIGURES / f"robustness_{number}")
        save(drops(changes), FIGURES / "drops")
        save(flips(changes), FIGURES / "flips")
    if len(bands):
        save(frequency(bands), FIGURES / "frequency")


def draw_explained(explained: dict[str, dict[str, Any]]) -> None:
    """Which maps can be believed, where they lie, and which measures agree with planted truth.
    What can be believed was decided by the explain stage; here it is only read."""
    planted = {m: stored(facts["planted"]) for m, facts in explained.items() if "planted" in facts}
    for kind, title in KINDS.items():
        verdicts = {m: kinds[kind] for m, kinds in planted.items() if kind in kinds}
        if any(verdict.scope != Belief.NONE for verdict in verdicts.values()):
            save(leaderboard(verdicts, title), FIGURES / f"leaderboard_{kind}")
    shares = {m: pd.DataFrame(facts.get("regions", [])) for m, facts in explained.items()}
    shares = {
        m: table for m, table in shares.items() if len(table) and (table["class"] == "fake").any()
    }
    if shares:
        save(regions_of_models(shares, "Where detectors look in fakes"), FIGURES / "regions")
    tried = {m: facts["trials"]["agreement"] for m, facts in explained.items() if "trials" in facts}
    ranked = [pd.DataFrame(rows).assign(model=model) for model, rows in tried.items() if rows]
    if ranked:
        title = "Do measures of faithfulness rank maps as planted truth does?"
        save(agreement(pd.concat(ranked), title), FIGURES / "agreement")


def learning_log(model: str, test: pd.DataFrame) -> pd.DataFrame:
    """A model's training log with its test curve; labels meet the test margins only here."""
    log = pd.read_csv(f"plots/train/{model}.csv")
    curve = by_epoch(pd.read_parquet(f"data/epochs/{model}.parquet"), test.set_index("id")["label"])
    log.insert(0, "model", model)
    return log.merge(curve, on="epoch", how="left", validate="one_to_one")


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    with whole(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")


if __name__ == "__main__":
    run(main)
