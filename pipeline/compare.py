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
from facetell.report.figures.robustness import NUMBERS, drops, flips, levels
from facetell.report.tables import tables
from pipeline.stage import params, run

KINDS = {"single": "Fakes with a single artefact", "several": "Fakes with several artefacts"}
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
    looked = {m: json.loads(Path(f"metrics/explain/{m}.json").read_text()) for m in models}
    draw_explained(looked)
    found = tables(scores, log, name, data["counts"])
    for stale in TABLES.glob("*.csv"):  # of another selection
        stale.unlink()
    for key, table in (found | {"pairs": pairs}).items():
        write_csv(TABLES / f"{key}.csv", table)
    headline = settings["headline"]
    with whole("metrics/report.md") as path:
        text = report(scores, data, name, found, pairs, headline)
        path.write_text(text + "\n" + explain_report(looked), encoding="utf-8")
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


def draw_explained(looked: dict[str, dict[str, Any]]) -> None:
    """Which maps can be believed: those of models that tell enough fakes by what was planted."""
    boards = {
        m: pd.DataFrame(f["planted"]["leaderboard"]) for m, f in looked.items() if "planted" in f
    }
    for kind in KINDS:
        tables = {m: t for m, t in boards.items() if len(t) and (t["fakes"] == kind).any()}
        if tables:
            absent = ", ".join(m for m in boards if m not in tables)
            title = KINDS[kind] + f" (not told by enough of them: {absent})" * bool(absent)
            save(leaderboard(tables, title, fakes=kind), FIGURES / f"leaderboard_{kind}")
    tried = {m: pd.DataFrame(f["trials"]["agreement"]) for m, f in looked.items() if "trials" in f}
    ranked = [table.assign(model=model) for model, table in tried.items() if len(table)]
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
