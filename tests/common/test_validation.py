# SPDX-License-Identifier: Apache-2.0
"""Settings that users write: one line that names every wrong one, and what would be right."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from facetell.common.errors import UserError
from facetell.common.validation import checked


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class Crop:
    pixels: int = Field(ge=16)
    side: Literal["left", "right"] = "left"
    share: float | bool = 1.0


class Train(BaseModel):
    model_config = ConfigDict(extra="forbid")
    epochs: int | None = Field(None, ge=1)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    train: Train
    suites: dict[str, list[int]] = {}


def said(kind: type, settings: dict) -> str:
    with pytest.raises(UserError) as error:
        checked(kind, settings, "here")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_right_is_made():
    assert checked(Crop, {"pixels": 16, "share": False}, "here") == Crop(pixels=16, share=False)
    assert checked(Settings, {"train": {}}, "here").train.epochs is None


def test_every_wrong_setting_is_named_with_what_is_allowed_and_what_was_given():
    assert said(Crop, {"pixels": 3, "side": "top"}) == (
        "here: pixels should be greater than or equal to 16, got 3; "
        "side should be 'left' or 'right', got 'top'"
    )
    assert said(Crop, {}) == "here: pixels is missing"
    assert said(Crop, {"pixels": "20"}) == "here: pixels should be a valid integer, got '20'"


def test_a_setting_of_two_types_has_one_sentence():
    assert said(Crop, {"pixels": 16, "share": "all"}) == (
        "here: share should be a valid number or a valid boolean, got 'all'"
    )


def test_unknown_settings_list_those_that_exist():
    unknown = "here: unknown setting size; there are pixels, side, share"
    assert said(Crop, {"pixels": 16, "size": 2}) == unknown
    assert said(Settings, {"train": {"epoch": 2}}) == (
        "here: unknown setting train.epoch; there are epochs"
    )


def test_settings_within_settings_are_named_from_the_top():
    assert said(Settings, {"train": {"epochs": 0}}) == (
        "here: train.epochs should be greater than or equal to 1, got 0"
    )
    assert said(Settings, {"train": {}, "suites": {"full": [1, "two"]}}) == (
        "here: suites.full.1 should be a valid integer, unable to parse string as an integer, "
        "got 'two'"
    )
    assert said(Settings, {"suites": {}}) == "here: train is missing"
