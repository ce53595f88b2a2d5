# SPDX-License-Identifier: Apache-2.0
"""What the detectors were trained and tested on, and which shortcuts the images offer."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.common.labels import CLASSES
from facetell.dataset.audit import WORDS
from facetell.metrics import intervals
from facetell.report.markdown import Block, Heading
from facetell.report.number_format import listed, tallied

SHORTCUTS = "Shortcuts in the images"


def images(data: Mapping[str, Any]) -> list[Block]:
    """How many images there are, what they are, and how the numbers below are to be read.

    ``data`` is the content of metrics/data.json.
    """
    counts = data["counts"]
    sizes = "; ".join(
        f"{split} {' + '.join(f'{counts[split][c]:,} {c}' for c in CLASSES)}" for split in counts
    )
    said = [
        f"Images: {sizes}; {data['persons']:,} persons in all (found by: {data['grouped']}).",
        _rendered(data["rendered"]),
    ]
    said += [_aside(data["set_aside"]), _unused(data["unused"]), _treated(data)]
    if pairs := tallied(data["pairs_across_splits"]):
        said.append(f"Pairs of images across splits: {pairs} (metrics/leaks.csv).")
    said.append(_effective(data))
    return [
        " ".join(filter(None, said)),
        *(f"**Warning**: {sentence}." for sentence in data["warnings"]),
        "The checkpoint and the threshold of each detector were chosen on validation images. "
        f"Square brackets hold {intervals.in_words()} intervals, which treat persons, not images, "
        "as independent.",
    ]


def shortcuts(audit: Mapping[str, Any]) -> list[Block]:
    """The audit in words first, then its numbers."""
    parts: list[Block] = [Heading(SHORTCUTS)]
    parts += [f"**Warning**: {paragraph}" for paragraph in audit["warnings"]] or [
        "No single shortcut, nor all of them combined, separates the classes with an AUC above "
        f"{audit['limit']:.2f}."
    ]
    if audit["auc"]:
        rows = [
            {
                "predicted from": WORDS[name],
                "AUC": f"{found['auc']:.2f} [{found['low']:.2f}, {found['high']:.2f}]",
            }
            for name, found in audit["auc"].items()
        ]
        parts += [
            "How well a property of the file or of the whole picture predicts the label by itself, "
            f"cross-validated by person on {audit['images']:,} images:",
            pd.DataFrame(rows),
        ]
    return parts


def _rendered(rendered: Mapping[str, Any]) -> str:
    number, total = rendered["images"], rendered["of"]
    if not number:
        return ""
    if number == total:
        return "All images are **rendered, not photos**."
    return (
        f"Of these {total:,} images, {number:,} are **rendered, not photos**: those of "
        f"{listed(rendered['sets'])}."
    )


def _aside(aside: Mapping[str, Any]) -> str:
    if not aside["count"]:
        return ""
    return (
        f"{aside['count']:,} more cannot be used ({tallied(aside['reasons'])}; "
        "metrics/set_aside.csv)."
    )


def _effective(data: Mapping[str, Any]) -> str:
    counts = data["counts"]
    if all(data["effective"][split] == sum(counts[split].values()) for split in counts):
        return ""
    numbers = ", ".join(f"{split} {number:,}" for split, number in data["effective"].items())
    return f"Without the {data['copies']:,} copies inside a split, the images are: {numbers}."


def _unused(number: int) -> str:
    return f"{number:,} more are not used (`data.train_on`, `use`)." if number else ""


def _treated(data: Mapping[str, Any]) -> str:
    said = []
    if number := data["laundered"]:
        said.append(f"{number:,} images were put through a simulated platform (`data.launder`).")
    if data["harmonised"]:
        said.append("All images were re-encoded in one way (`data.harmonise`).")
    return " ".join(said)
