# SPDX-License-Identifier: Apache-2.0
"""Recipes: a wrong setting is one line that names it."""

import json
from dataclasses import FrozenInstanceError, asdict, replace
from typing import get_args

import pytest
import torch
from torch import nn

from facetell.common.errors import UserError
from facetell.training.optimisation import OPTIMIZERS, Schedule, optimizer
from facetell.training.recipe import OptimizerName, Precision, Recipe, ScheduleName

GOOD = {"image_size": 64, "epochs": 1, "batch_size": 2, "lr": 0.1}


def test_lists_stand_for_tuples_and_whole_numbers_for_any():
    recipe = Recipe.of(GOOD | {"mean": [0, 0, 0], "augment": ["s0", "blur"], "lr": 1}, "here")
    assert recipe.mean == (0.0, 0.0, 0.0)
    assert recipe.augment == ("s0", "blur")
    assert recipe.lr == 1.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"learning_rate": 1}, "unknown setting learning_rate; there are image_size, epochs,"),
        ({"epochs": 0}, "epochs should be greater than or equal to 1, got 0"),
        ({"epochs": True}, "epochs should be a valid integer, got True"),
        ({"epochs": 1.5}, "epochs should be a valid integer, got 1.5"),
        ({"micro_batch": 0}, "micro_batch should be greater than or equal to 1, got 0"),
        ({"lr": 0}, "lr should be greater than 0, got 0"),
        ({"lr": "1e-3"}, "lr should be a valid number, got '1e-3'"),
        ({"lr": float("inf")}, "lr should be a finite number, got inf"),
        ({"width": -1}, "width should be greater than 0, got -1"),
        ({"warmup": -1}, "warmup should be greater than or equal to 0, got -1"),
        ({"head_epochs": -1}, "head_epochs should be greater than or equal to 0, got -1"),
        ({"label_smoothing": 2}, "label_smoothing should be less than or equal to 1, got 2"),
        ({"select": "test"}, "select should be 'auc', 'accuracy' or 'loss', got 'test'"),
        ({"optimizer": "lion"}, "optimizer should be 'sgd', 'adam', 'adamw' or 'nadam', got"),
        ({"schedule": "step"}, "schedule should be 'plateau', 'onecycle', 'cosine' or 'constant',"),
        ({"precision": "int8"}, "precision should be 'auto', 'float32', 'bfloat16' or 'float16',"),
        (
            {"augment": "cutout"},
            "should be null, one of flip, s0, course, blur, robust, or a list of",
        ),
        ({"augment": ["flip", "cutout"]}, "or a list of them, got ['flip', 'cutout']"),
        ({"pretrained": 1}, "pretrained should be a valid boolean or a valid string, got 1"),
        ({"mean": [0, 0]}, "mean.2 is missing"),
        ({"std": [0.5, 0, 0.5]}, "std.1 should be greater than 0, got 0"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_is_allowed(wrong, says):
    with pytest.raises(UserError) as error:
        Recipe.of(GOOD | wrong, "recipe quick of resnet50")
    assert str(error.value).startswith("recipe quick of resnet50: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(UserError, match=r"here: lr is missing; epochs should be .*, got 0"):
        Recipe.of({"image_size": 64, "epochs": 0, "batch_size": 2}, "here")


def test_names_in_recipes_are_those_that_training_knows():
    assert set(get_args(OptimizerName)) == set(OPTIMIZERS)
    for name in get_args(ScheduleName):
        recipe = Recipe(**GOOD, schedule=name)
        assert Schedule(optimizer(nn.Linear(2, 2), recipe), recipe, 2).lr > 0
    for name in get_args(Precision):
        assert name == "auto" or isinstance(getattr(torch, name), torch.dtype)


def test_what_is_stored_of_a_recipe_is_plain_json():
    recipe = Recipe.of(GOOD | {"augment": ["s0"], "options": {"zero_init": True}}, "here")
    stored = json.loads(json.dumps(asdict(recipe)))
    assert list(stored)[:5] == ["image_size", "epochs", "batch_size", "lr", "micro_batch"]
    assert Recipe.of(stored, "here") == recipe


def test_a_recipe_does_not_change():
    recipe = Recipe(**GOOD)
    with pytest.raises(FrozenInstanceError):
        recipe.lr = 1.0
    assert replace(recipe, lr=1.0).lr == 1.0
    with pytest.raises(ValueError, match="epochs"):
        replace(recipe, epochs=0)
