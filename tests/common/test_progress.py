# SPDX-License-Identifier: Apache-2.0
"""What is said in advance of long work, against how long it then takes, by a clock of our own."""

import random
import re
import time

import pytest

from facetell.common.progress import SHORT, Estimate, estimating, in_words, worked


class Clock:
    """Seconds that pass only when work is done."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


def seconds_of(said: str) -> float:
    number, unit = re.search(r"about ([\d.]+) (s|min|h)$", said).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def run(steps: list[float], *, units: float = 1.0, afterwards: float = 0.0) -> tuple[list, float]:
    """Do steps of these lengths: what was said, at which second, and how long all took."""
    clock, said = Clock(), []
    begun = clock()
    estimate = Estimate(
        "work", units * len(steps), afterwards=afterwards, clock=clock,
        say=lambda line: said.append((line, clock() - begun)),
    )  # fmt: skip
    for step in steps:
        clock.work(step)
        estimate.worked(units)
    clock.work(afterwards)
    return said, clock() - begun


DRAWS = random.Random(0)
LOOPS = {
    "even": [0.5] * 100,
    "a slow first step": [20.0] + [0.1] * 600,
    "noise": [DRAWS.uniform(0.1, 0.9) for _ in range(200)],
    "long steps": [17.0] * 12,
    "short steps": [0.001] * 60_000,
    "bursts of 16": ([4.0] + [0.0] * 15) * 30,
    "three steps": [30.0] * 3,
}


@pytest.mark.parametrize("units", [1.0, 64.0])
@pytest.mark.parametrize("name", LOOPS)
def test_one_line_within_a_factor_of_one_and_a_half(name, units):
    said, took = run(LOOPS[name], units=units)
    ((line, when),) = said
    assert took / 1.5 <= seconds_of(line) <= 1.5 * took, (line, took)
    assert when <= max(0.15 * took, LOOPS[name][0] + 4, 2 * LOOPS[name][0])


def test_what_follows_at_a_rate_of_its_own_is_included():
    said, took = run([0.1] * 100, afterwards=30.0)
    assert seconds_of(said[0][0]) == pytest.approx(took, rel=0.2)


def test_short_work_is_not_announced():
    for steps in ([0.01] * 100, [SHORT / 2], [3.0, 3.0], []):
        assert run(steps)[0] == []


def test_a_real_loop():
    said, begun = [], time.monotonic()
    with estimating("loop", 25, afterwards=SHORT, say=said.append):
        for _ in range(25):
            time.sleep(0.04)
            worked()
    took = time.monotonic() - begun + SHORT
    assert took / 1.5 <= seconds_of(said[0]) <= 1.5 * took


def test_work_goes_to_the_innermost_estimate_and_to_none_without_one():
    worked(5)  # nothing listens
    clock, said = Clock(), []
    options = {"say": said.append, "clock": clock}
    with estimating("outer", 100, **options):
        with estimating("inner", 10, **options):
            for _ in range(5):
                clock.work(4)
                worked()
        assert said == ["inner: about 40 s"]
        with estimating("hidden", 10, show=False, **options):
            for _ in range(5):
                clock.work(4)
                worked()
        assert len(said) == 1
    with pytest.raises(ZeroDivisionError), estimating("failed", 1, **options):
        raise ZeroDivisionError
    worked(5)


def test_words_are_never_far_from_the_number():
    for seconds in range(10, 40_000, 7):
        assert seconds / 1.3 <= seconds_of(f"about {in_words(seconds)}") <= 1.3 * seconds, seconds
