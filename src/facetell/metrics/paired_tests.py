"""Is one detector better than another, on the same test images?

Accuracy at each one's threshold by McNemar's test (1947, exact), AUC by DeLong, DeLong and
Clarke-Pearson (1988), both for all pairs, with Holm's correction (1979). Images of one person are
not independent: persons, not images, are what the two tests count. McNemar's becomes a sign-flip
test of the persons' differences, DeLong's takes Obuchowski's (1997) variance; with one image each,
they are the usual ones.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.signal import convolve
from scipy.stats import binom, norm

from facetell.metrics.intervals import LEVEL, Resamples, interval

ALPHA = 1 - LEVEL
FINEST = 1e-4  # p-values below are only said to be below
SENTENCES = 10  # pairs that are put into words; of more, those of the headline


def mcnemar(differences: np.ndarray) -> float:
    """Exact two-sided p-value of no difference.

    ``differences`` (K,) are whole numbers, one for each person: how many of its images only the
    first detector judges rightly, minus how many only the second. Under the null hypothesis each
    is as likely with the other sign.
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

    ``labels`` (N,) 1 = fake, ``margins`` (M, N), ``groups`` (N,) says which images belong together;
    None: none do. Both classes must be there, each in at least two groups (ValueError).
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
    """p-values corrected for their number, in the given order."""
    order = np.argsort(p_values)
    steps = (len(p_values) - np.arange(len(p_values))) * p_values[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected


def compare(
    labels: np.ndarray,
    margins: Mapping[str, np.ndarray],
    thresholds: Mapping[str, float],
    draws: Resamples,
) -> pd.DataFrame:
    """All pairs of detectors on the same N test images, which ``draws`` is of.

    Returns
    -------
    Frame, one row for each pair: a, b (names); accuracy_difference (a minus b, in [-1, 1]) with
    accuracy_low and accuracy_high (bootstrap), only_a_right and only_b_right (images), mcnemar_p,
    mcnemar_holm; and where there are two classes auc_difference, auc_low, auc_high, delong_z,
    delong_p, delong_holm.
    """
    names = list(margins)
    pairs = list(combinations(range(len(names)), 2))
    stacked = np.stack([margins[name] for name in names])
    cuts = np.array([thresholds[name] for name in names])
    right = ((stacked >= cuts[:, None]) == (labels == 1)).T
    persons = np.zeros((draws.member.max() + 1, len(names)))
    np.add.at(persons, draws.member, right)
    totals = draws.sums(np.column_stack([right, np.ones(len(right))]))
    accuracies = totals[:, :-1] / totals[:, -1:]
    rows = []
    for a, b in pairs:
        low, high = interval(accuracies[:, a] - accuracies[:, b])
        rows.append(
            {
                "a": names[a],
                "b": names[b],
                "accuracy_difference": right[:, a].mean() - right[:, b].mean(),
                "accuracy_low": low,
                "accuracy_high": high,
                "only_a_right": int((right[:, a] & ~right[:, b]).sum()),
                "only_b_right": int((right[:, b] & ~right[:, a]).sum()),
                "mcnemar_p": mcnemar(persons[:, a] - persons[:, b]),
            }
        )
    table = pd.DataFrame(rows)
    if not len(table):
        return table
    table["mcnemar_holm"] = holm(table["mcnemar_p"].to_numpy())
    if labels.min() == labels.max():
        return table
    areas, covariance = delong(labels, stacked, draws.member)
    a, b = np.array(pairs).T
    difference = areas[a] - areas[b]
    variance = covariance[a, a] + covariance[b, b] - 2 * covariance[a, b]
    error = np.sqrt(np.maximum(variance, 0))
    reach = norm.ppf((1 + LEVEL) / 2) * error
    table["auc_difference"] = difference
    table["auc_low"], table["auc_high"] = difference - reach, difference + reach
    # equal rankings differ by nothing, surely; different ones without spread differ surely
    with np.errstate(divide="ignore", invalid="ignore"):
        table["delong_z"] = np.where(difference == 0, 0.0, difference / error)
    table["delong_p"] = 2 * norm.sf(np.abs(table["delong_z"]))
    table["delong_holm"] = holm(table["delong_p"].to_numpy())
    return table


def in_words(table: pd.DataFrame, headline: str) -> list[str]:
    """A sentence for each pair, or for each of the headline's where there are too many.

    "Beats" is said where Holm's p-value of McNemar's test is below ``ALPHA``.
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
    bounds = f"[{low:.1f}, {high:.1f}] ({_p(row['mcnemar_holm'])})"
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
    return f"{said}; AUC {difference} [{low:+.3f}, {high:+.3f}] ({_p(row['delong_holm'])})."


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= FINEST else f"p < {FINEST:g}"


def matrix(table: pd.DataFrame, column: str, mirrored: int) -> pd.DataFrame:
    """``column`` of each pair in a square frame, row against column; the other way round it is
    ``mirrored`` (1 or -1) times that, and the diagonal is missing."""
    names = list(dict.fromkeys([*table["a"], *table["b"]]))
    square = pd.DataFrame(np.nan, index=names, columns=names)
    for a, b, value in zip(table["a"], table["b"], table[column], strict=True):
        square.loc[a, b], square.loc[b, a] = value, mirrored * value
    return square
