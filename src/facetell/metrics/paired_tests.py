# SPDX-License-Identifier: Apache-2.0
"""Is one detector better than another, on the same test images?

Accuracy at each detector's threshold is compared by McNemar's test (1947, exact), AUC by the test
of DeLong, DeLong and Clarke-Pearson (1988), both for all pairs, with Holm's correction (1979).
Images of one person are not independent, so both tests count persons instead of images: McNemar's
becomes a sign-flip test of the persons' differences, and DeLong's takes the variance of Obuchowski
(1997). With one image per person they are the usual tests.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import convolve
from scipy.stats import binom, norm
from statsmodels.stats.multitest import multipletests

from facetell.metrics.intervals import LEVEL, Resamples, interval

Pairs = list[tuple[int, int]]  # of detectors, by number

ALPHA = 1 - LEVEL
FINEST = 1e-4  # p-values below are only said to be below
SENTENCES = 10  # pairs that are put into words; of more, those of the headline


def mcnemar(differences: np.ndarray) -> float:
    """Exact two-sided p-value of no difference.

    ``differences`` (K,) are whole numbers, one for each person: the number of images that only
    the first detector judges correctly, minus the number that only the second does. Under the null
    hypothesis each is as likely with the other sign.

    >>> round(mcnemar(np.array([1, 1, 1, 1, 1, 1, 0, 0])), 5)  # 2 / 2^6
    0.03125
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    chance = np.ones(1)  # of sums from -reach to reach, in steps of one
    for size, count in zip(sizes.astype(int), counts, strict=True):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chance = of_size if len(chance) == 1 else convolve(chance, of_size)
    reach, found = len(chance) // 2, abs(int(differences.sum()))
    if found == 0:
        return 1.0
    return float(min(1.0, 2 * chance[: reach - found + 1].clip(min=0).sum()))


def delong(
    labels: np.ndarray, margins: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AUC of each detector, (M,), and their covariance, (M, M).

    Parameters
    ----------
    labels : (N,), 1 = fake. margins : (M, N), of M detectors.
    groups : (N,), says which images belong together; None: each is its own group.

    Raises
    ------
    ValueError : one of the classes is missing, or is in fewer than two groups.

    >>> areas, covariance = delong(np.array([1, 1, 0, 0]), np.array([[1.0, 3.0, 0.0, 2.0]]))
    >>> areas.tolist(), covariance.tolist()
    ([0.75], [[0.125]])
    """
    fake = labels == 1
    groups = np.arange(len(labels)) if groups is None else groups
    _, member = np.unique(groups, return_inverse=True)
    of_fakes, of_reals = member[fake], member[~fake]
    clusters = [len(np.unique(part)) for part in (of_fakes, of_reals, member)]
    if min(clusters) < 2:
        raise ValueError("DeLong's variance needs fakes and reals of at least two groups each")
    number = len(of_fakes), len(of_reals)
    areas = np.empty(len(margins))
    sums = np.zeros((2, clusters[2], len(margins)))  # of what each fake and each real contributes
    for model, margin in enumerate(margins):
        fakes, reals = margin[fake], margin[~fake]
        below = _placements(np.sort(reals), fakes) / number[1]
        above = 1 - _placements(np.sort(fakes), reals) / number[0]
        areas[model] = below.mean()
        np.add.at(sums[0, :, model], of_fakes, below - areas[model])
        np.add.at(sums[1, :, model], of_reals, above - areas[model])
    scaled = [part / n for part, n in zip(sums, number, strict=True)]
    corrected = [k / (k - 1) for k in clusters]
    mixed = scaled[0].T @ scaled[1]
    covariance = corrected[0] * scaled[0].T @ scaled[0] + corrected[1] * scaled[1].T @ scaled[1]
    return areas, covariance + corrected[2] * (mixed + mixed.T)


def _placements(ranked: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many of ``ranked`` lie below each value, equal ones counted half."""
    return (np.searchsorted(ranked, values, "left") + np.searchsorted(ranked, values, "right")) / 2


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values (K,), adjusted for their number by Holm's method, in the given order.

    >>> holm(np.array([0.01, 0.04, 0.03, 0.005])).round(4).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    return multipletests(p_values, method="holm")[1]


def compare(
    labels: np.ndarray,
    margins: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    draws: Resamples,
) -> pd.DataFrame:
    """All pairs of detectors on the same N test images.

    Parameters
    ----------
    labels : (N,), 1 = fake. margins : by detector, (N,). thresholds : by detector, a margin.
    draws : bootstrap draws of the persons of these images.

    Returns
    -------
    Frame, one row for each pair: a, b (names); accuracy_difference (a minus b, in [-1, 1]) with
    accuracy_low and accuracy_high (bootstrap), only_a_right and only_b_right (images), mcnemar_p,
    mcnemar_holm; and where both classes have images of two persons or more auc_difference,
    auc_low, auc_high, delong_z, delong_p, delong_holm.

    >>> labels, margins = np.arange(8) % 2, {"a": np.arange(8.0), "b": np.arange(8.0) % 2}
    >>> draws = Resamples(np.arange(8), resamples=20)
    >>> table = compare(labels, margins, {"a": 4.0, "b": 0.5}, draws)
    >>> table[["accuracy_difference", "only_b_right", "mcnemar_p"]].round(4).to_dict("list")
    {'accuracy_difference': [-0.5], 'only_b_right': [4], 'mcnemar_p': [0.125]}
    """
    names = list(margins)
    pairs = list(combinations(range(len(names)), 2))
    if not pairs:
        return pd.DataFrame()
    stacked = np.stack([margins[name] for name in names])
    cuts = np.array([thresholds[name] for name in names])
    right = ((stacked >= cuts[:, None]) == (labels == 1)).T
    table = pd.DataFrame([(names[a], names[b]) for a, b in pairs], columns=["a", "b"])
    table = table.join(pd.DataFrame(_accuracies(right, pairs, draws)))
    table["mcnemar_holm"] = holm(table["mcnemar_p"].to_numpy())
    persons = [len(np.unique(draws.member[labels == label])) for label in (0, 1)]
    if min(persons) < 2:  # the variance of an AUC is not known from one person
        return table
    table = table.assign(**_areas(labels, stacked, pairs, draws.member))
    table["delong_holm"] = holm(table["delong_p"].to_numpy())
    return table


def _accuracies(right: np.ndarray, pairs: Pairs, draws: Resamples) -> list[dict[str, Any]]:
    """For each pair of detectors, what ``compare`` says of accuracy.

    ``right`` (N, M) says which verdicts are.
    """
    persons = np.zeros((draws.member.max() + 1, right.shape[1]))
    np.add.at(persons, draws.member, right)
    totals = draws.sums(np.column_stack([right, np.ones(len(right))]))
    accuracies = totals[:, :-1] / totals[:, -1:]
    rows = []
    for a, b in pairs:
        low, high = interval(accuracies[:, a] - accuracies[:, b])
        rows.append(
            {
                "accuracy_difference": right[:, a].mean() - right[:, b].mean(),
                "accuracy_low": low,
                "accuracy_high": high,
                "only_a_right": int((right[:, a] & ~right[:, b]).sum()),
                "only_b_right": int((right[:, b] & ~right[:, a]).sum()),
                "mcnemar_p": mcnemar(persons[:, a] - persons[:, b]),
            }
        )
    return rows


def _areas(
    labels: np.ndarray, margins: np.ndarray, pairs: Pairs, member: np.ndarray
) -> dict[str, np.ndarray]:
    """For each pair of detectors, what ``compare`` says of AUC; columns (P,) by name."""
    areas, covariance = delong(labels, margins, member)
    a, b = np.array(pairs).T
    difference = areas[a] - areas[b]
    variance = covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]
    error = np.sqrt(np.maximum(variance, 0))
    reach = norm.ppf((1 + LEVEL) / 2) * error
    # equal rankings surely do not differ; different ones without any spread surely do
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(difference == 0, 0.0, difference / error)
    return {
        "auc_difference": difference,
        "auc_low": difference - reach,
        "auc_high": difference + reach,
        "delong_z": z,
        "delong_p": 2 * norm.sf(np.abs(z)),
    }


def in_words(table: pd.DataFrame, headline: str) -> list[str]:
    """A sentence for each pair, or only for the headline's pairs where there are too many.

    ``table`` is that of ``compare``, ``headline`` the name of a detector. "Beats" means that Holm's
    p-value of McNemar's test is below ``ALPHA``.

    >>> labels, margins = np.arange(8) % 2, {"a": np.arange(8.0), "b": np.arange(8.0) % 2}
    >>> draws = Resamples(np.arange(8), resamples=20, seed=0)
    >>> sentence, = in_words(compare(labels, margins, {"a": 4.0, "b": 0.5}, draws), "a")
    >>> sentence.split(":")[0]
    '`b` and `a` do not differ significantly in accuracy'
    """
    if len(table) > SENTENCES:
        table = table[(table["a"] == headline) | (table["b"] == headline)]
    return [_sentence(row) for _, row in table.iterrows()]


def _sentence(row: "pd.Series[float]") -> str:
    swapped = row["accuracy_difference"] < 0
    first, second = (row["b"], row["a"]) if swapped else (row["a"], row["b"])
    sign = -1 if swapped else 1
    low, high = sorted(100 * sign * row[f"accuracy_{end}"] for end in ("low", "high"))
    points = f"{100 * abs(row['accuracy_difference']):.1f} percentage points"
    bounds = f"[{low:.1f}, {high:.1f}] ({p_in_words(row['mcnemar_holm'])})"
    if row["mcnemar_holm"] < ALPHA:
        said = f"`{first}` beats `{second}` by {points} of accuracy {bounds}"
    else:
        said = (
            f"`{first}` and `{second}` do not differ significantly in accuracy: {points} {bounds}"
        )
    if "auc_difference" not in row:
        return said + "."
    low, high = sorted(sign * row[f"auc_{end}"] for end in ("low", "high"))
    difference = f"{sign * row['auc_difference']:+.3f}"
    return f"{said}; AUC {difference} [{low:+.3f}, {high:+.3f}] ({p_in_words(row['delong_holm'])})."


def p_in_words(value: float) -> str:
    """A p-value with two digits, or only below which it is.

    >>> p_in_words(0.0213), p_in_words(1e-9)
    ('p = 0.021', 'p < 0.0001')
    """
    return f"p = {value:.2g}" if value >= FINEST else f"p < {FINEST:g}"


def matrix(table: pd.DataFrame, column: str, mirrored: int) -> pd.DataFrame:
    """``column`` of each pair in a square frame, row against column; the diagonal is NaN.

    Below the diagonal, values are ``mirrored`` (1 or -1) times those above.

    >>> table = pd.DataFrame({"a": ["x"], "b": ["y"], "auc_difference": [0.25]})
    >>> matrix(table, "auc_difference", -1).to_dict("list")
    {'x': [nan, -0.25], 'y': [0.25, nan]}
    """
    names = list(dict.fromkeys([*table["a"], *table["b"]]))
    square = pd.DataFrame(np.nan, index=names, columns=names)
    for a, b, value in zip(table["a"], table["b"], table[column], strict=True):
        square.loc[a, b], square.loc[b, a] = value, mirrored * value
    return square
