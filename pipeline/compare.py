"""compare: tables and curves over the models that params.yaml selects, and the headline."""

import json
from pathlib import Path

import pandas as pd

from facetell.curves import by_epoch, error_curves
from facetell.figures import curves as draw
from facetell.figures.style import save
from facetell.files import whole, write_json
from facetell.predictions import read
from facetell.report import report, robustness, summary
from facetell.spectra import NETWORK
from facetell.tables import tables
from pipeline.stage import params, run

TABLES = Path("metrics/tables")


def main() -> None:
    settings = params()
    # from the parameters, not from what lies in the folders: other runs leave files there
    models = list(settings["models"])
    rated = [*models, NETWORK]  # the baseline stands in every table, but is no choice
    scores = {m: json.loads(Path(f"metrics/models/{m}.json").read_text()) for m in rated}
    data, name = json.loads(Path("metrics/data.json").read_text()), settings["data"]["name"]
    tests = {}
    for model in rated:
        predictions, _ = read(f"data/predictions/{model}.parquet")
        tests[model] = predictions.query("split == 'test' and variant == 'clean'")
    margins = {model: test["margin"].to_numpy() for model, test in tests.items()}
    labels = {model: test["label"].to_numpy() for model, test in tests.items()}
    curves = error_curves(margins, labels)
    log = pd.concat([learning_log(model, tests[model]) for model in models], ignore_index=True)
    changes = robustness(scores)
    write_csv("plots/roc.csv", curves[["model", "score", "point", "fpr", "tpr"]])
    write_csv("plots/det.csv", curves[["model", "score", "point", "fpr_deviate", "fnr_deviate"]])
    write_csv("plots/learning.csv", log)
    write_csv("plots/robustness.csv", changes)
    save(draw.roc(curves), "plots/compare/roc.png")
    save(draw.det(curves), "plots/compare/det.png")
    best = {m: scores[m]["training"]["cost"]["best_epoch"] for m in models}
    save(draw.learning(log, best), "plots/compare/learning.png")
    save(draw.robustness(changes), "plots/compare/robustness.png")
    found = tables(scores, log, name, data["counts"])
    for stale in TABLES.glob("*.csv"):  # of another selection
        stale.unlink()
    for key, table in found.items():
        write_csv(TABLES / f"{key}.csv", table)
    with whole("metrics/report.md") as path:
        path.write_text(report(scores, data, name, found), encoding="utf-8")
    chosen = {model: scores[model] for model in models}
    write_json("metrics/summary.json", summary(chosen, settings["headline"]), digits=4)


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
