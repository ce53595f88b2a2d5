# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a killed training goes on to the same bits, and no other takes up its state."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from support.training import RECIPE, job, run, same

from facetell.images.packed import Packed
from facetell.training.checkpoint import FILE, owner_of
from facetell.training.trainer import Trainer


@pytest.mark.parametrize(
    ("network", "change"),
    [
        ("simplenet", {}),
        ("simplenet", {"schedule": "plateau", "optimizer": "nadam"}),
        ("simplenet", {"schedule": "cosine", "warmup": 1.5, "optimizer": "sgd"}),
        ("simplenet", {"augment": ("s0", "blur"), "head_epochs": 1}),
        ("simplenet", {"precision": "float16"}),
        ("mobilenetv2_100", {"micro_batch": 5, "options": {"drop_path_rate": 0.5}}),
    ],
)
def test_a_killed_run_resumes_to_the_same_bits(packed_set, tmp_path, monkeypatch, network, change):
    recipe = dataclasses.replace(RECIPE, **change)
    watch = Packed(packed_set / "test")
    whole_run = run(packed_set, tmp_path / "whole", recipe, network, changes={"watch": watch})
    real = Trainer.one_epoch

    def dies_in_the_third(trainer, bar):
        if trainer.history.epoch == 2:
            raise KeyboardInterrupt
        return real(trainer, bar)

    monkeypatch.setattr(Trainer, "one_epoch", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(packed_set, tmp_path / "cut", recipe, network, changes={"watch": watch})
    monkeypatch.setattr(Trainer, "one_epoch", real)
    said = []
    resumed = run(
        packed_set, tmp_path / "cut", recipe, network, changes={"watch": watch}, say=said.append
    )
    assert "going on after epoch 2" in said[0]
    assert same(whole_run.detector, resumed.detector)
    assert whole_run.log == resumed.log
    assert whole_run.threshold == resumed.threshold
    np.testing.assert_array_equal(whole_run.watched, resumed.watched)


@pytest.mark.parametrize("change", [{"lr": 2e-3}, {"weight_decay": 0.1}])
def test_the_state_of_another_recipe_is_refused(packed_set, tmp_path, change):
    run(packed_set, tmp_path / "s")
    said = []
    recipe = dataclasses.replace(RECIPE, **change)
    fresh = run(packed_set, tmp_path / "t", recipe)
    other = run(packed_set, tmp_path / "s", recipe, say=said.append)
    assert "starts anew" in said[0]
    assert same(fresh.detector, other.detector)


def test_the_state_of_other_images_is_refused(packed_set, tmp_path):
    run(packed_set, tmp_path / "s")
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copytree(packed_set / "test", moved / "train")
    shutil.copytree(packed_set / "valid", moved / "valid")
    said = []
    run(moved, tmp_path / "s", say=said.append)
    assert "other images" in said[0]


def test_a_damaged_state_is_not_taken_up(packed_set, tmp_path):
    fresh = run(packed_set, tmp_path / "s")
    file = tmp_path / "s" / FILE
    file.write_bytes(file.read_bytes()[:1000])
    said = []
    again = run(packed_set, tmp_path / "s", say=said.append)
    assert "last.pt cannot be read" in said[0]
    assert same(fresh.detector, again.detector)


def test_the_state_belongs_to_network_recipe_seed_images_and_number_format(packed_set):
    mine = owner_of(job(packed_set), torch.float32)
    assert mine == owner_of(job(packed_set, name="another name"), torch.float32)
    for other in (
        owner_of(job(packed_set, network="vgg19"), torch.float32),
        owner_of(job(packed_set, dataclasses.replace(RECIPE, clip=None)), torch.float32),
        owner_of(job(packed_set, seed=1), torch.float32),
        owner_of(job(packed_set, watch=Packed(packed_set / "test")), torch.float32),
        owner_of(job(packed_set), torch.bfloat16),
    ):
        assert mine != other
