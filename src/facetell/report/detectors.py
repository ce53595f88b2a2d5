"""What ``compare`` says of the selected models: headline, tables, and a report in words."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.evaluation.predictions import CONTROL
from facetell.evaluation.robustness import by_variant, frequencies, robustness, weak_points
from facetell.images.spectra import NETWORK
from facetell.metrics.paired_tests import in_words, matrix
from facetell.report.markdown import ABSENT, markdown
from facetell.report.published import SOURCES
from facetell.report.tables import DIFFERS, ratio

Scores = dict[str, dict[str, Any]]  # metrics/models/<model>.json by model
Form = Callable[[Any], str]  # how a number is worded

HEADLINE = ("accuracy", "accuracy_real", "accuracy_fake", "auc", "ap", "eer", "f1", "ece")
USUAL = {"width": "1", "processes": "1"}  # not worth a column where all are so


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
    clean, hard = scores[headline]["clean"], scores[headline]["robustness"]
    found = {name: clean[name] for name in HEADLINE if name in clean}
    if "auc" in clean:  # what a test set of one class leaves undefined is absent
        found["auc_low"], found["auc_high"] = clean["interval"]["auc"]
        found["perturbed_auc_mean"] = hard.get("auc_mean", clean["auc"])
        found["perturbed_auc_worst"] = hard.get("auc_worst", clean["auc"])
    return found


def report(
    scores: Scores,
    data: dict[str, Any],
    name: str,
    tables: Mapping[str, pd.DataFrame],
    pairs: pd.DataFrame,
    headline: str,
) -> str:
    """Markdown tables of everything, with what a reader must know to judge them.

    ``data`` is the content of metrics/data.json, ``name`` that of the data set; ``tables`` come
    from ``facetell.report.tables``, ``pairs`` from ``facetell.metrics.paired_tests``.
    """
    counts = data["counts"]
    sizes = ", ".join(
        f"{split} {' + '.join(f'{counts[split][c]} {c}' for c in CLASSES)}" for split in counts
    )
    parts = [
        f"# Detectors on `{name}`",
        f"Images: {sizes}; {data['set_aside']['count']} set aside."
        f"{_unused(data)}"
        + (" The images are **rendered, not photos**." if name in ("demo", "demo_sets") else "")
        + " Checkpoint and threshold were chosen on validation images; brackets are 95% "
        "intervals, resampled by person.",
        "## What the data give away",
        _audited(data["audit"]),
        "## Clean test images",
        f"`{NETWORK}` is a linear classifier on the power spectrum and the DCT: what a network "
        "must beat before its depth means anything.",
        markdown(_clean(scores)),
        *_left_out(scores),
        "## At the threshold of validation, in biometric terms",
        "APCER is the share of a generator's fakes that pass as real (the worst generator's), "
        "BPCER the share of real images called fake, ACER the mean of the two (ISO/IEC 30107-3).",
        markdown(_operating(scores)),
        "## Calibration",
        "The temperature is fitted on validation images; above 1, the scores are too sure of "
        "themselves. Before and after the margins are divided by it:",
        markdown(_calibration(scores)),
    ]
    if len(pairs):
        parts += ["## Which differences are real", *_pairs(pairs, headline)]
    if any(found["artefacts"] for found in scores.values()):
        parts += [
            "## Fakes by what was planted in them (AUC against all real test images)",
            "`several` are fakes like those in training; the others carry one artefact each.",
            markdown(_by_group(scores, "artefacts")),
        ]
    for what, title in (("generators", "generator"), ("psis", "truncation psi")):
        if any(len(found[what]) > 1 for found in scores.values()):
            parts += [
                f"## Fakes of each {title}: AUC against all real images (share found)",
                _by_part(scores, what, "auc", "accuracy_fake"),
            ]
    for what, title in (("platforms", "platform"), ("sets", "data set")):
        if any(len(found[what]) > 1 for found in scores.values()):
            parts += [
                f"## Test images of each {title}: accuracy (AUC)",
                _by_part(scores, what, "accuracy", "auc"),
            ]
    parts += _broken(scores)
    for key, (title, ours, theirs) in BESIDE.items():
        if (table := tables.get(key)) is not None:
            said = f"{ours} {theirs}" if table["published_as"].notna().any() else ours
            parts += [f"## {title}", said, markdown(_beside(table, CELLS[key]))]
    return "\n\n".join(parts) + "\n"


def _unused(data: dict[str, Any]) -> str:
    said = f" {data['unused']} images are not used (`data.train_on`, `use`)." * bool(data["unused"])
    pairs = {kind: number for kind, number in data["pairs_across_splits"].items() if number}
    if pairs:
        listed = ", ".join(f"{number} {kind}" for kind, number in pairs.items())
        said += f" Pairs across splits: {listed} (metrics/leaks.csv)."
    return said


def _audited(audit: dict[str, Any]) -> str:
    """The audit in words first, then its numbers."""
    said = [f"**Warning**: {sentence}" for sentence in audit["warnings"]] or [
        "No listed trivium alone, nor all together, tells the classes apart above AUC 0.6."
    ]
    if audit["auc"]:
        said.append(
            f"AUC of the label from this alone, cross-validated by person on {audit['images']:,} "
            "images:"
        )
        cells = {
            name.replace("_", " "): f"{found['auc']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
            for name, found in audit["auc"].items()
        }
        said.append(markdown(pd.DataFrame({"from": cells.keys(), "AUC": cells.values()})))
    return "\n\n".join(said)


def _clean(scores: Scores) -> pd.DataFrame:
    shown = {"accuracy": "accuracy", "accuracy_real": "real", "accuracy_fake": "fake"}
    shown |= {"auc": "AUC", "ap": "AP", "eer": "EER", "f1": "F1"}
    shown |= {"tpr_at_fpr_1pct": "TPR at FPR 1%", "tpr_at_fpr_01pct": "TPR at FPR 0.1%"}
    return _numbers({model: found["clean"] for model, found in scores.items()}, shown)


def _operating(scores: Scores) -> pd.DataFrame:
    shown = {"apcer": "APCER", "bpcer": "BPCER", "acer": "ACER"}
    shown |= {"bpcer_at_apcer_5pct": "BPCER at APCER 5%"}
    shown |= {"bpcer_at_apcer_1pct": "BPCER at APCER 1%"}
    return _numbers({model: found["clean"] for model, found in scores.items()}, shown)


def _calibration(scores: Scores) -> pd.DataFrame:
    rows = []
    for model, found in scores.items():
        row = {"model": model, "temperature": f"{found['calibration']['temperature']:.2f}"}
        for name, title in (("ece", "ECE"), ("brier", "Brier"), ("log_loss", "log loss (nats)")):
            for part, when in (("clean", "before"), ("calibration", "after")):
                row[f"{title} {when}"] = _with_interval(found[part], name)
        rows.append(row)
    return pd.DataFrame(rows)


def _numbers(found: Mapping[str, dict[str, Any]], shown: Mapping[str, str]) -> pd.DataFrame:
    """A row for each model; a column that no model has is left out."""
    rows = [
        {"model": model} | {title: _with_interval(numbers, key) for key, title in shown.items()}
        for model, numbers in found.items()
    ]
    table = pd.DataFrame(rows)
    return table.loc[:, (table != ABSENT).any()]


def _left_out(scores: Scores) -> list[str]:
    reasons = {
        name: reason
        for found in scores.values()
        for name, reason in found["clean"].get("left_out", {}).items()
    }
    if not reasons:
        return []
    said = "; ".join(f"{name} ({reason})" for name, reason in reasons.items())
    return [f"Left out, for the test set is too small or does not permit it: {said}."]


def _pairs(pairs: pd.DataFrame, headline: str) -> list[str]:
    """Sentences and matrices of the paired tests."""
    parts = [
        "The same test images, judged at each detector's threshold. p-values are McNemar's "
        "(accuracy) and DeLong's (AUC), which count persons and are corrected for the number of "
        "pairs (Holm); brackets are 95% intervals of that pair alone.",
        "\n".join(f"- {sentence}" for sentence in in_words(pairs, headline)),
    ]
    for what, test, unit, scale in (
        ("accuracy", "mcnemar", "points of accuracy", 100),
        ("auc", "delong", "AUC, in hundredths", 100),
    ):
        if f"{what}_difference" not in pairs:
            continue
        square = matrix(pairs, f"{what}_difference", -1)
        p_values = matrix(pairs, f"{test}_holm", 1)
        cells = square.map(lambda value, scale=scale: f"{scale * value:+.1f}")
        cells = cells.where(p_values >= 0.05, cells + " *").where(square.notna(), ABSENT)
        cells.insert(0, f"row minus column ({unit})", cells.index)
        parts.append(markdown(cells))
    return [*parts, "\\* p < 0.05 after Holm's correction."]


def _broken(scores: Scores) -> list[str]:
    """Perturbations: what breaks each model, and which frequencies it lives on."""
    table = robustness(scores)
    parts = ["## What breaks them"]
    parts.append("\n".join(f"- {sentence}" for sentence in weak_points(table)))
    parts += [
        "AUC of each variant, and in brackets what it loses against clean with its interval "
        "(of the same images); accuracy, TPR and TNR, with the verdicts that turn, are in "
        "plots/robustness.csv.",
        markdown(by_variant(table)),
    ]
    if sentences := frequencies(table):
        parts += [
            "## Which frequencies they live on",
            "One band of frequencies is removed at a time (`band_stop`; 0.5 cycles per pixel is "
            "the highest frequency of rows and columns).",
            "\n".join(f"- {sentence}" for sentence in sentences),
        ]
    if any(CONTROL in found["variants"] for found in scores.values()):
        parts.append(
            f"`{CONTROL}` is a control: the fakes are rendered again without what was planted, "
            "so nothing is left to find and AUC should be 0.5: "
            + ", ".join(
                f"{model} {_with_interval(found['variants'][CONTROL], 'auc')}"
                for model, found in scores.items()
            )
            + "."
        )
    return parts


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


def _by_part(scores: Scores, what: str, first: str, second: str) -> str:
    """``first`` of each part with its interval and, where it is defined, ``second``."""
    rows = []
    for model, found in scores.items():
        cells = {
            f"{part} (n = {numbers['n'] if first == 'accuracy' else numbers['n_fake']})": (
                _with_interval(numbers, first)
                + (f" ({numbers[second]:.3f})" if second in numbers else "")
            )
            for part, numbers in found[what].items()
        }
        rows.append({"model": model} | cells)
    return markdown(pd.DataFrame(rows).fillna(ABSENT))


def _beside(table: pd.DataFrame, cells: Mapping[str, tuple[str, Form]]) -> pd.DataFrame:
    """Ours with its interval and, after a slash, what was published; idle columns are left out."""
    shown = {"model": table["model"]}
    for column, (title, form) in cells.items():
        cell = _worded(table[column], form, "{}", ABSENT)
        if f"{column}_low" in table:
            cell += _worded(table[f"{column}_low"], form, " [{}, ")
            cell += _worded(table[f"{column}_high"], form, "{}]")
        if f"{column}_published" in table:
            cell += _worded(table[f"{column}_published"], form, " / {}")
        if set(cell) not in ({ABSENT}, {USUAL.get(column)}):
            shown[title] = cell
    for column in ("published_as", DIFFERS):
        if table[column].notna().any():
            shown[column.replace("_", " ")] = table[column].fillna(ABSENT)
    return pd.DataFrame(shown)


def _worded(column: "pd.Series[Any]", form: Form, frame: str, absent: str = "") -> "pd.Series[Any]":
    words = [absent if pd.isna(value) else frame.format(form(value)) for value in column]
    return pd.Series(words, index=column.index, dtype=object)


def _scaled(value: float, units: tuple[str, ...] = ("", " k", " M", " G")) -> str:
    """Three significant digits and a unit of thousands: 27579692 becomes ``27.6 M``."""
    step = 0
    while value >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.3g}{units[step]}" if value < 99.95 else f"{value:.0f}{units[step]}"


def _bytes(gb: float) -> str:
    return _scaled(1e9 * gb, (" B", " kB", " MB", " GB"))


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _with_interval(numbers: dict[str, Any], name: str) -> str:
    if name not in numbers:
        return ABSENT
    low, high = numbers["interval"][name]
    return f"{numbers[name]:.3f} [{low:.3f}, {high:.3f}]"


_COUNT, _LOSS = "{:,.0f}".format, "{:.3f}".format
# Per table of ``facetell.report.tables``: its columns, as headings and forms of the numbers
CELLS: dict[str, dict[str, tuple[str, Form]]] = {
    "accuracy": {
        "train": ("train", _percent),
        "valid": ("validation", _percent),
        "test": ("test", _percent),
        "at_threshold": ("test at threshold", _percent),
    },
    "cost": {
        "parameters": ("parameters", _COUNT),
        "multiply_adds": ("multiply-adds", _scaled),
        "memory_gb": ("memory", _bytes),
        "gpu_memory_gb": ("GPU memory", _bytes),
        "disk_gb": ("on disk", _bytes),
        "seconds": ("seconds", _COUNT),
        "images_per_second": ("images/s", _COUNT),
        "epochs": ("epochs", str),
        "best_epoch": ("best epoch", str),
        "width": ("width", ratio),
        "image_size": ("input (px)", str),
        "processes": ("processes", str),
        "device": ("device", str),
        "precision": ("precision", str),
    },
    "best_epoch": {
        "epoch": ("epoch", str),
        "train_loss": ("train loss", _LOSS),
        "train_accuracy": ("train", _percent),
        "valid_loss": ("validation loss", _LOSS),
        "valid_accuracy": ("validation", _percent),
        "test_loss": ("test loss", _LOSS),
        "test_accuracy": ("test", _percent),
    },
    "perturbations": {
        "variant": ("variant", str),
        "accuracy": ("accuracy", _percent),
        "change": ("change", "{:+.2f}".format),
    },
    "presocial": {"accuracy": ("accuracy", _percent), "f1": ("F1", _percent)},
}
# Per table: heading, how to read ours, how to read what was published
BESIDE = {
    "accuracy": (
        "Accuracy as the UIUC report gives it (its Table 1, %)",
        "At the epoch whose weights were kept. The verdict is fake where the margin is at least "
        "0, which is the larger of two logits; only `test at threshold` uses the threshold chosen "
        "on validation, and has its 95% interval.",
        f"After a slash: {SOURCES['S0']}.",
    ),
    "cost": (
        "Cost",
        "Multiply-adds are per image; memory is the peak of the training process and what it held "
        "on a GPU; a GB is 1e9 bytes.",
        f"After a slash: Table 2 of {SOURCES['S0']}, at batch 32. Its images/s follow from its "
        "time, its epochs (25 where it names none) and 100,000 images; its storage counts a GB "
        "as 1.024e9 bytes, judging by its numbers of parameters.",
    ),
    "best_epoch": (
        "Best epoch, as the course reports give it (loss in nats, the rest accuracy in %)",
        "At the epoch whose weights were kept, by validation images alone; the verdict is fake "
        "where the margin is at least 0. Training numbers are means over the epoch, while the "
        "weights change.",
        f"After a slash: S2, {SOURCES['S2']}, and S4, {SOURCES['S4']}. S4 calls its numbers for "
        "SimpleNet approximate, and does not say whether its 98.40 is of validation or test "
        "images. Neither states how many images it trained on.",
    ),
    "perturbations": (
        "Perturbed images as the UIUC report gives them (its Tables 3 and 4, %)",
        "Accuracy at the threshold chosen on validation, and its change relative to clean "
        "accuracy; both with 95% intervals, that of the change from the same images before and "
        "after.",
        f"After a slash: {SOURCES['S0']}; by its changes, the rows that it calls SepNet and SWIN "
        "are of SepNet-Aug and of SWIN after 50 epochs. Its verdict is the larger of two logits.",
    ),
    "presocial": (
        "Images before any platform, as the TrueFace study gives them (%)",
        "Test images that no platform recompressed, at the threshold chosen on validation; F1 is "
        "that of fake.",
        f"After a slash: {SOURCES['S3']}. It does not state its split, its training, or which F1 "
        "it means.",
    ),
}
