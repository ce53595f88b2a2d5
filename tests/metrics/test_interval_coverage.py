# SPDX-License-Identifier: Apache-2.0
"""Do 95% intervals hold the truth 95 times in 100? A thousand test sets of which it is known.

It takes two minutes, so it runs on request only:
``pytest --slow -n0 -s tests/metrics/test_interval_coverage.py``.
Margins are normal with a part that a person's images share; the truth is integrated numerically.
"""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from facetell.metrics.calibration import BINS
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples

SETS, SHIFT, THRESHOLD, SHARED = 1000, 1.5, 0.2, 0.5


def simulated(random: np.random.Generator, persons: int, each: int):
    """``each`` real and as many fake images of every person; SHARED of the variance is theirs."""
    person = np.repeat(np.arange(persons), 2 * each)
    labels = np.tile(np.repeat([0, 1], each), persons)
    own, common = random.normal(size=len(labels)), random.normal(size=persons)[person]
    margins = SHIFT * (labels - 0.5) + np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
    return labels, margins, person


def truths() -> dict[str, float]:
    """Of one real and one fake image of two persons, by closed form or numerical integral."""
    at, step = np.linspace(-12, 12, 200_001, retstep=True)
    real, fake = norm.pdf(at, -SHIFT / 2), norm.pdf(at, SHIFT / 2)
    reals, fakes = norm.sf(at, -SHIFT / 2), norm.sf(at, SHIFT / 2)
    found = {"accuracy_real": norm.cdf(THRESHOLD, -SHIFT / 2)}
    found["accuracy_fake"] = norm.sf(THRESHOLD, SHIFT / 2)
    found["accuracy"] = (found["accuracy_real"] + found["accuracy_fake"]) / 2
    found["bpcer"] = 1 - found["accuracy_real"]
    found["apcer"] = 1 - found["accuracy_fake"]
    found["acer"] = 1 - found["accuracy"]
    found["f1"] = 2 * found["accuracy_fake"] / (1 + found["accuracy_fake"] + found["bpcer"])
    found["auc"] = norm.cdf(SHIFT / np.sqrt(2))
    found["ap"] = (fakes / (fakes + reals) * fake).sum() * step
    found["eer"] = norm.sf(SHIFT / 2)
    found["tpr_at_fpr_1pct"] = norm.sf(norm.isf(0.01, -SHIFT / 2), SHIFT / 2)
    found["bpcer_at_apcer_5pct"] = norm.sf(norm.ppf(0.05, SHIFT / 2), -SHIFT / 2)
    found["bpcer_at_apcer_1pct"] = norm.sf(norm.ppf(0.01, SHIFT / 2), -SHIFT / 2)
    score = expit(at)
    found["brier"] = ((score**2 * real + (1 - score) ** 2 * fake) / 2).sum() * step
    losses = np.logaddexp(0, at) * real + np.logaddexp(0, -at) * fake
    found["log_loss"] = (losses / 2).sum() * step
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], score)
    gap = (score * (real + fake) - fake) / 2 * step
    found["ece"] = np.abs(np.bincount(bins, weights=gap, minlength=BINS)).sum()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("persons", "each"), [(1000, 1), (500, 2)])
def test_intervals_cover_the_truth(persons, each):
    truth = truths()
    hits = dict.fromkeys(truth, 0)
    random = np.random.default_rng(11)
    for number in range(SETS):
        labels, margins, person = simulated(random, persons, each)
        draws = Resamples(person, resamples=1000, seed=number)
        found = evaluate(
            labels, margins, THRESHOLD, draws, generators=np.full(len(labels), "one")
        ).intervals
        for name in hits:
            low, high = found[name]
            hits[name] += low <= truth[name] <= high
    covered = {name: number / SETS for name, number in hits.items()}
    covered = {name: float(share) for name, share in covered.items()}
    print(f"\n{persons} persons x 2 x {each}:", covered)
    ece = covered.pop("ece")  # estimated with a bias that no resampling removes
    assert min(covered.values()) >= 0.93, covered
    assert max(covered.values()) <= 0.97, covered
    assert 0.8 <= ece <= 0.97
