# SPDX-License-Identifier: Apache-2.0
"""Optimisers and schedules against their formulas."""

import itertools
import math
from typing import get_args

import pytest
from torch import nn

from facetell.common.errors import UserError
from facetell.training.optimisation import Schedule, optimizer
from facetell.training.recipe import Recipe, ScheduleName


def recipe(**changes) -> Recipe:
    return Recipe(**{"image_size": 64, "epochs": 4, "batch_size": 8, "lr": 0.1} | changes)


def rates(settings: Recipe, steps: int) -> list[float]:
    opt = optimizer(nn.Linear(2, 2), settings)
    schedule, found = Schedule(opt, settings, steps), []
    for _ in range(settings.epochs * steps):
        found.append(schedule.lr)
        opt.step()
        schedule.step()
    return found


def test_plateau_has_the_reports_settings():
    opt = optimizer(nn.Linear(2, 2), recipe(optimizer="sgd", stop_below=1e-3))
    schedule = Schedule(opt, recipe(optimizer="sgd", stop_below=1e-3), 10)
    plateau = schedule.plateau
    assert (plateau.factor, plateau.patience, plateau.threshold) == (0.1, 1, 1e-2)
    assert (plateau.cooldown, plateau.threshold_mode, plateau.mode) == (1, "rel", "min")
    seen = []
    # 1 % better is not enough; after a fall one epoch of rest and two bad ones to the next
    for loss in (1.0, 0.995, 0.995, 0.995, 0.995, 0.995):
        schedule.epoch(loss)
        seen.append(round(schedule.lr, 6))
    assert seen == [0.1, 0.1, 0.01, 0.01, 0.01, 0.001]
    assert not schedule.finished
    for _ in range(3):
        schedule.epoch(0.995)
    assert schedule.finished


def test_cosine_rises_then_falls_to_zero():
    found = rates(recipe(schedule="cosine", warmup=0.5), 10)
    rise, fall = found[:5], found[5:]
    assert rise == pytest.approx([0.1 * (1 / 6 + step / 5 * 5 / 6) for step in range(5)])
    expected = [0.05 * (1 + math.cos(math.pi * step / 35)) for step in range(35)]
    assert fall == pytest.approx(expected, abs=1e-9)
    assert rates(recipe(schedule="cosine"), 10)[0] == pytest.approx(0.1)
    with pytest.raises(UserError, match=r"warmup: 40 of 40 updates .* raise epochs"):
        rates(recipe(schedule="cosine", warmup=4.0), 10)


def test_onecycle_and_constant():
    found = rates(recipe(schedule="onecycle"), 10)
    assert max(found) == pytest.approx(0.1)
    assert found.index(max(found)) == 7
    assert set(rates(recipe(schedule="constant"), 10)) == {0.1}


def one_training(settings: Recipe, steps: int, stop: int = 0) -> list[float]:
    """The rate of each update; with ``stop``, schedule and optimiser are saved before that one,
    made anew, and loaded."""
    opt = optimizer(nn.Linear(2, 2), settings)
    schedule, found = Schedule(opt, settings, steps), []
    for update in range(settings.epochs * steps):
        if stop and update == stop:
            saved = schedule.state_dict(), opt.state_dict()
            opt = optimizer(nn.Linear(2, 2), settings)
            schedule = Schedule(opt, settings, steps)
            schedule.load_state_dict(saved[0])
            opt.load_state_dict(saved[1])
        found.append(schedule.lr)
        opt.step()
        schedule.step()
        if (update + 1) % steps == 0:
            schedule.epoch(1.0)
    return found


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
@pytest.mark.parametrize("epochs", range(1, 7))
def test_short_trainings_have_a_rate_at_every_update(schedule, epochs):
    """Whatever the number of updates: finite, above 0, at most ``lr``, and not all but nothing."""
    for steps, warmup in itertools.product(range(1, 7), (0, 0.5, 1, 2)):
        settings = recipe(epochs=epochs, schedule=schedule, warmup=warmup)
        if schedule == "cosine" and round(warmup * steps) >= epochs * steps:
            with pytest.raises(UserError, match="lower warmup"):
                one_training(settings, steps)
            continue
        found = one_training(settings, steps)
        assert all(0 < rate <= 0.1 * (1 + 1e-9) for rate in found), (steps, warmup, found)
        assert max(found) >= 0.03, (steps, warmup, found)
        for stop in {1, len(found) // 2, len(found) - 1} - {0, len(found)}:
            assert one_training(settings, steps, stop) == found, (steps, warmup, stop)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW"), ("nadam", "NAdam")],
)
def test_optimisers_are_what_they_are_called(name, kind):
    opt = optimizer(nn.Linear(2, 2), recipe(optimizer=name, weight_decay=0.01))
    assert type(opt).__name__ == kind
    assert opt.defaults["lr"] == 0.1
    assert opt.defaults["weight_decay"] == 0.01
    if name == "sgd":
        assert opt.defaults["nesterov"]
        assert opt.defaults["momentum"] == 0.9
