# SPDX-License-Identifier: Apache-2.0
"""Our numbers beside those of the publications, with how to read either."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.metrics import intervals
from facetell.report import published
from facetell.report.markdown import ABSENT, Block, Heading
from facetell.report.number_format import Form, percent, scaled, storage
from facetell.report.published import SOURCES
from facetell.report.published_tables import DIFFERS, ratio

USUAL = {"width": "1", "processes": "1"}  # not worth a column where all are so
COUNT, LOSS = "{:,.0f}".format, "{:.3f}".format

# Per table of ``published_tables``: its columns, as headings and forms of the numbers
CELLS: dict[str, dict[str, tuple[str, Form]]] = {
    "accuracy": {
        "train": ("train", percent),
        "valid": ("validation", percent),
        "test": ("test", percent),
        "at_threshold": ("test at threshold", percent),
    },
    "cost": {
        "parameters": ("parameters", COUNT),
        "multiply_adds": ("multiply-adds", scaled),
        "memory_gb": ("memory", storage),
        "gpu_memory_gb": ("GPU memory", storage),
        "disk_gb": ("on disk", storage),
        "seconds": ("seconds", COUNT),
        "images_per_second": ("images/s", COUNT),
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
        "train_loss": ("train loss", LOSS),
        "train_accuracy": ("train", percent),
        "valid_loss": ("validation loss", LOSS),
        "valid_accuracy": ("validation", percent),
        "test_loss": ("test loss", LOSS),
        "test_accuracy": ("test", percent),
    },
    "perturbations": {
        "variant": ("variant", str),
        "accuracy": ("accuracy", percent),
        "change": ("change", "{:+.2f}".format),
    },
    "presocial": {"accuracy": ("accuracy", percent), "f1": ("F1", percent)},
}

_COST = published.COST[0].setting
_SWIN = published.of_model(published.PERTURBED, "swin")[0].setting
_UNSURE = next(row for row in published.BEST_EPOCH[::-1] if row.setting.source == "S4")
# Per table: heading, how to read ours, how to read what was published
TEXTS = {
    "accuracy": (
        "Accuracy beside the UIUC report (its Table 1, %)",
        "These numbers are for the epoch whose weights were kept. The verdict is fake where the "
        "margin is at least 0, that is, where the logit of fake is the larger one. Only `test at "
        "threshold` uses the threshold chosen on validation images, and has a {level} interval.",
        f"Numbers after a slash are those of {SOURCES['S0']}.",
    ),
    "cost": (
        "Cost",
        "Multiply-adds are per image. `memory` is the peak of the training process, `GPU memory` "
        "what this process held on a GPU. A GB is 1e9 bytes.",
        f"Numbers after a slash are those of Table 2 of {SOURCES['S0']}, at batch size "
        f"{_COST.batch_size}. Its images/s follow from its time, its epochs "
        f"({published.UIUC.epochs} where it names none) and {_COST.images:,} images. Judging by "
        f"its numbers of parameters, its storage counts a GB as {published.STORAGE_GB / 1e9:g}e9 "
        "bytes.",
    ),
    "best_epoch": (
        "Best epoch beside the course reports (loss in nats, accuracy in %)",
        "These numbers are for the epoch whose weights were kept, which was chosen on validation "
        "images alone. The verdict is fake where the margin is at least 0. Training numbers are "
        "means over the epoch, while the weights change.",
        f"Numbers after a slash are those of S2, {SOURCES['S2']}, and S4, {SOURCES['S4']}. S4 "
        "calls its numbers for SimpleNet approximate, and does not say whether its "
        f"{_UNSURE.values['test']:.2f} is of validation or test images. Neither report says how "
        "many images it trained on.",
    ),
    "perturbations": (
        "Perturbed images beside the UIUC report (its Tables 3 and 4, %)",
        "Accuracy at the threshold chosen on validation images, and its change relative to clean "
        "accuracy. Square brackets hold {level} intervals. That of the change is paired: it "
        "compares the same images before and after.",
        f"Numbers after a slash are those of {SOURCES['S0']}. Judging by the changes that it "
        f"prints, its rows SepNet and SWIN are of SepNet-Aug and of SWIN after {_SWIN.epochs} "
        "epochs. Its verdict is the larger of two logits.",
    ),
    "presocial": (
        "Pre-social images beside the TrueFace study (%)",
        "Test images that no platform is known to have recompressed, at the threshold chosen on "
        "validation images. F1 is that of the class fake.",
        f"Numbers after a slash are those of {SOURCES['S3']}. It states neither its split, nor its "
        "training, nor which F1 it means.",
    ),
}


def beside_published(tables: Mapping[str, pd.DataFrame]) -> list[Block]:
    """Each of ``tables`` (of ``facetell.report.published_tables``) in words."""
    parts: list[Block] = []
    for key, (title, ours, theirs) in TEXTS.items():
        if key not in tables:
            continue
        said = ours.format(level=intervals.in_words())
        if tables[key]["published_as"].notna().any():
            said += f" {theirs}"
        parts += [Heading(title), said, _worded(tables[key], CELLS[key])]
    return parts


def _worded(table: pd.DataFrame, cells: Mapping[str, tuple[str, Form]]) -> pd.DataFrame:
    """Ours with its interval and, after a slash, what was published; idle columns are omitted."""
    shown = {"model": table["model"]}
    for column, (title, form) in cells.items():
        cell = _in_frame(table[column], form, "{}", ABSENT)
        if f"{column}_low" in table:
            cell += _in_frame(table[f"{column}_low"], form, " [{}, ")
            cell += _in_frame(table[f"{column}_high"], form, "{}]")
        if f"{column}_published" in table:
            cell += _in_frame(table[f"{column}_published"], form, " / {}")
        if set(cell) not in ({ABSENT}, {USUAL.get(column)}):
            shown[title] = cell
    for column in ("published_as", DIFFERS):
        if table[column].notna().any():
            shown[column.replace("_", " ")] = table[column].fillna(ABSENT)
    return pd.DataFrame(shown)


def _in_frame(
    column: "pd.Series[Any]", form: Form, frame: str, absent: str = ""
) -> "pd.Series[Any]":
    words = [absent if pd.isna(value) else frame.format(form(value)) for value in column]
    return pd.Series(words, index=column.index, dtype=object)
