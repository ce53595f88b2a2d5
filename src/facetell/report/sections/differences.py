# SPDX-License-Identifier: Apache-2.0
"""Which differences between detectors are more than chance: paired tests in words and tables."""

import pandas as pd

from facetell.metrics import intervals, paired_tests
from facetell.report.markdown import ABSENT, Block, Heading

PAIRS = "Which differences are real"
TESTS = {  # by number: the test of its difference, and what the difference times 100 is
    "accuracy": ("mcnemar", "accuracy, percentage points"),
    "auc": ("delong", "AUC, hundredths"),
}


def differences(pairs: pd.DataFrame, headline: str) -> list[Block]:
    """Sentences and matrices of ``facetell.metrics.paired_tests``; nothing without pairs."""
    if not len(pairs):
        return []
    sentences = paired_tests.in_words(pairs, headline)
    some = f" Only pairs with `{headline}` are put into words."
    parts: list[Block] = [
        Heading(PAIRS),
        "All detectors judge the same test images, each at its own threshold. p-values are "
        "McNemar's for accuracy and DeLong's for AUC. Both tests treat persons, not images, as "
        "independent, and are corrected for the number of pairs (Holm). Square brackets hold the "
        f"{intervals.in_words()} interval of one pair alone."
        + some
        * (len(sentences) < len(pairs)),
        tuple(sentences),
    ]
    for number in TESTS:
        if f"{number}_difference" in pairs:
            parts.append(_matrix(pairs, number))
        else:
            parts.append(
                "AUC is not compared: that needs images of at least two persons in each class."
            )
    return [*parts, f"\\* p < {paired_tests.ALPHA:g} after Holm's correction."]


def _matrix(pairs: pd.DataFrame, number: str) -> pd.DataFrame:
    """Row minus column, in hundredths, with a star where the difference is significant."""
    test, unit = TESTS[number]
    square = paired_tests.matrix(pairs, f"{number}_difference", -1)
    significant = paired_tests.matrix(pairs, f"{test}_holm", 1) < paired_tests.ALPHA
    cells = square.map(lambda value: f"{100 * value:+.1f}")
    cells = cells.mask(significant, cells + " *").where(square.notna(), ABSENT)
    cells.insert(0, f"row minus column ({unit})", cells.index)
    return cells
