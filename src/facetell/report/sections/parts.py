# SPDX-License-Identifier: Apache-2.0
"""Parts of the test images: fakes by what was planted, by generator and psi; images by origin."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.evaluation.model_scores import SEVERAL
from facetell.evaluation.robustness import Scores
from facetell.report.markdown import ABSENT, Block, Heading
from facetell.report.number_format import with_interval

PLANTED = "Fakes by planted artefact"
OF_FAKES = {"generators": "generator", "psis": "truncation psi"}
OF_IMAGES = {"platforms": "platform", "sets": "data set"}


def parts(scores: Scores) -> list[Block]:
    """A table for each division of the test images that has parts."""
    found: list[Block] = []
    if any(one["artefacts"] for one in scores.values()):
        found += [
            Heading(PLANTED),
            "AUC of these fakes against all real test images. Fakes in the column "
            f"`{SEVERAL}` carry two or more artefacts, all others a single one.",
            _by_part(scores, "artefacts", "auc"),
        ]
    for what, title in OF_FAKES.items():
        if any(len(one[what]) > 1 for one in scores.values()):
            found += [
                Heading(f"Fakes by {title}"),
                f"AUC of the fakes of each {title} against all real test images, and in "
                "parentheses the share of them that was detected.",
                _by_part(scores, what, "auc", "accuracy_fake"),
            ]
    for what, title in OF_IMAGES.items():
        if any(len(one[what]) > 1 for one in scores.values()):
            found += [
                Heading(f"Test images by {title}"),
                f"Accuracy on the test images of each {title}, and in parentheses the AUC.",
                _by_part(scores, what, "accuracy", "auc"),
            ]
    return found


def leak(scores: Scores) -> list[Block]:
    """What it is worth that some test fakes have a twin among the training images."""
    if not any("twins" in one for one in scores.values()):
        return []
    rows = []
    for model, one in scores.items():
        for which, numbers in one.get("twins", {}).items():
            rows.append(
                {
                    "model": model,
                    "test fakes": f"{which} a twin in training (n = {numbers['n_fake']:,})",
                    "AUC": with_interval(numbers, "auc"),
                    "accuracy": with_interval(numbers, "accuracy"),
                    "detected": f"{numbers['accuracy_fake']:.3f}",
                }
            )
    return [
        Heading("What the leak is worth"),
        "Some test fakes have a near copy or a look-alike among the training fakes of the set "
        "(metrics/leaks.csv). Each row is against all real test images; `detected` is the share of "
        "these fakes. `data.split.leaks=drop` trains without the twins, `keep` with them: the "
        "difference between the two runs is what the leak is worth. Few fakes make wide intervals.",
        pd.DataFrame(rows),
    ]


def _by_part(scores: Scores, what: str, first: str, second: str | None = None) -> pd.DataFrame:
    """``first`` of each part with its interval and, where it is defined, ``second``."""
    count = "n" if what in OF_IMAGES else "n_fake"
    rows = []
    for model, found in scores.items():
        cells = {
            f"{part} (n = {numbers[count]:,})": with_interval(numbers, first)
            + (f" ({numbers[second]:.3f})" if second in numbers else "")
            for part, numbers in _ordered(found[what]).items()
        }
        rows.append({"model": model} | cells)
    return pd.DataFrame(rows).fillna(ABSENT)


def _ordered(groups: Mapping[str, Any]) -> dict[str, Any]:
    """The fakes with several artefacts first, the others as they are."""
    return dict(sorted(groups.items(), key=lambda group: group[0] != SEVERAL))
