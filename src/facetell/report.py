"""What ``compare`` says of the selected models: headline, tables, and a report in words."""

from typing import Any

import pandas as pd

from facetell.errors import UserError
from facetell.labels import CLASSES
from facetell.predictions import CONTROL

Scores = dict[str, dict[str, Any]]  # metrics/models/<model>.json by model

HEADLINE = (
    *("accuracy", "accuracy_real", "accuracy_fake", "auc", "ap", "eer", "f1", "tpr_at_fpr_1pct"),
)


def summary(scores: Scores, headline: str) -> dict[str, float]:
    """A dozen constant numbers of the headline model: it is named, never the best one.

    Raises
    ------
    UserError : several models are selected, and none of them is ``headline``.
    """
    if len(scores) == 1:
        headline = next(iter(scores))
    if headline not in scores:
        raise UserError(f"headline: {headline!r} is not selected; there are {', '.join(scores)}")
    found = scores[headline]
    low, high = found["clean"]["interval"]["auc"]
    drops = [numbers["auc"] for name, numbers in found["variants"].items() if name != CONTROL]
    return {name: found["clean"][name] for name in HEADLINE} | {
        "auc_low": low,
        "auc_high": high,
        "perturbed_auc_mean": sum(drops) / len(drops) if drops else found["clean"]["auc"],
        "perturbed_auc_worst": min(drops, default=found["clean"]["auc"]),
    }


def robustness(scores: Scores) -> pd.DataFrame:
    """Accuracy with its interval and AUC per model and variant, ``clean`` first."""
    rows = []
    for model, found in scores.items():
        for variant, numbers in ({"clean": found["clean"]} | found["variants"]).items():
            low, high = numbers["interval"]["accuracy"]
            rows.append(
                {
                    "model": model,
                    "variant": variant,
                    "accuracy": numbers["accuracy"],
                    "low": low,
                    "high": high,
                    "auc": numbers["auc"],
                    "accuracy_change_pct": numbers.get("accuracy_change_pct", 0.0),
                }
            )
    return pd.DataFrame(rows)


def report(scores: Scores, data: dict[str, Any], name: str) -> str:
    """Markdown tables of everything above, with what a reader must know to judge them."""
    counts = data["counts"]
    sizes = ", ".join(
        f"{split} {' + '.join(f'{counts[split][c]} {c}' for c in CLASSES)}" for split in counts
    )
    parts = [
        f"# Detectors on `{name}`",
        f"Images: {sizes}; {data['set_aside']['count']} set aside."
        + (" The images are **rendered, not photos**." if name == "demo" else "")
        + " Checkpoint and threshold were chosen on validation images; brackets are 95% "
        "intervals, resampled by person.",
        "## Clean test images",
        _markdown(_clean(scores)),
    ]
    if any(found["artefacts"] for found in scores.values()):
        parts += [
            "## Fakes by what was planted in them (AUC against all real test images)",
            "`several` are fakes like those in training; the others carry one artefact each.",
            _markdown(_by_group(scores, "artefacts")),
        ]
    parts += [
        "## Perturbed test images: accuracy (percent change against clean)",
        _markdown(_changes(scores)),
    ]
    if any(CONTROL in found["variants"] for found in scores.values()):
        parts.append(
            f"`{CONTROL}` is a control: the fakes are rendered again without what was planted, "
            "so nothing is left to find and AUC should be 0.5: "
            + ", ".join(f"{m} {f['variants'][CONTROL]['auc']:.3f}" for m, f in scores.items())
            + "."
        )
    parts += ["## How they were trained", _markdown(_training(scores))]
    return "\n\n".join(parts) + "\n"


def _clean(scores: Scores) -> pd.DataFrame:
    rows = []
    for model, found in scores.items():
        clean = found["clean"]
        rows.append(
            {
                "model": model,
                "accuracy": _with_interval(clean, "accuracy"),
                "real": _with_interval(clean, "accuracy_real"),
                "fake": _with_interval(clean, "accuracy_fake"),
                "AUC": _with_interval(clean, "auc"),
                "AP": f"{clean['ap']:.3f}",
                "EER": f"{clean['eer']:.3f}",
                "F1": f"{clean['f1']:.3f}",
                "TPR at FPR 1%": f"{clean['tpr_at_fpr_1pct']:.3f}",
            }
        )
    return pd.DataFrame(rows)


def _by_group(scores: Scores, what: str) -> pd.DataFrame:
    rows = []
    for model, found in scores.items():
        groups = found[what]
        first = [name for name in ("several",) if name in groups]
        order = first + sorted(set(groups) - set(first))
        rows.append(
            {"model": model}
            | {
                f"{group} (n = {groups[group]['n_fake']})": f"{groups[group]['auc']:.3f}"
                for group in order
            }
        )
    return pd.DataFrame(rows)


def _changes(scores: Scores) -> pd.DataFrame:
    table = robustness(scores)
    table["cell"] = [
        f"{100 * row.accuracy:.1f}"
        + ("" if row.variant == "clean" else f" ({row.accuracy_change_pct:+.1f})")
        for row in table.itertuples()
    ]
    wide = table.pivot(index="model", columns="variant", values="cell")
    return wide.loc[list(scores), list(dict.fromkeys(table["variant"]))].reset_index()


def _training(scores: Scores) -> pd.DataFrame:
    rows = []
    for model, found in scores.items():
        cost, recipe = found["training"]["cost"], found["training"]["recipe"]
        rows.append(
            {
                "model": model,
                "parameters": f"{cost['parameters']:,}",
                "width": f"{recipe['width']:g}",
                "input (px)": recipe["image_size"],
                "epochs": cost["epochs"],
                "best epoch": cost["best_epoch"],
                "seconds": f"{cost['seconds']:.0f}",
                "images/s": f"{cost['images_per_second']:.0f}",
                "device": f"{cost['device']}, {cost['precision']}",
            }
        )
    return pd.DataFrame(rows)


def _with_interval(numbers: dict[str, Any], name: str) -> str:
    low, high = numbers["interval"][name]
    return f"{numbers[name]:.3f} [{low:.3f}, {high:.3f}]"


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [list(map(str, row)) for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
