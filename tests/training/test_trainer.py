# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, resumes to the same bits, and never sees a test image."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from support.networks import HALF
from support.training import CPU, RECIPE, run, same

from facetell.common.errors import UserError
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.metrics.ranking import auc, best_threshold
from facetell.models import build
from facetell.models.detector import Detector
from facetell.models.inference import margins
from facetell.training import trainer
from facetell.training.job import Engine
from facetell.training.trainer import Trainer


def test_it_learns_and_the_same_seed_gives_the_same_bits(packed_set, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=8)
    first = run(packed_set, tmp_path / "a", recipe)
    again = run(packed_set, tmp_path / "b", recipe)
    test = Packed(packed_set / "test")
    scores = margins(first.detector, Images(test, 64), CPU)
    assert auc(test.labels, scores) > 0.95
    assert same(first.detector, again.detector)
    assert first.threshold == again.threshold
    assert first.log == again.log
    other = run(packed_set, tmp_path / "c", recipe, changes={"seed": 1})
    assert not same(first.detector, other.detector)


def test_checkpoint_and_threshold_come_from_validation_alone(packed_set, tmp_path):
    """Training gets no test set at all; its choices follow from the validation images."""
    result = run(packed_set, tmp_path / "s")
    valid = Packed(packed_set / "valid")
    scores = margins(result.detector, Images(valid, 64), CPU)
    assert result.threshold == best_threshold(valid.labels, scores)
    keys = [(row["valid_auc"], -row["valid_loss"]) for row in result.log]
    assert result.cost["best_epoch"] == 1 + keys.index(max(keys))
    assert auc(valid.labels, scores) == pytest.approx(max(keys)[0])


def test_training_stops_at_the_learning_rate_floor(packed_set, tmp_path):
    recipe = dataclasses.replace(
        RECIPE, epochs=30, schedule="plateau", optimizer="sgd", lr=1e-7, stop_below=5e-8
    )
    result = run(packed_set, tmp_path / "s", recipe)
    assert len(result.log) < 30


def test_a_loss_that_is_not_finite_stops_with_one_error(packed_set, tmp_path):
    recipe = dataclasses.replace(RECIPE, lr=1e30, optimizer="sgd", schedule="constant", clip=None)
    says = r"loss (nan|inf) in epoch 1, step 2, at learning rate 1e\+30, on the images .*train\d+"
    with pytest.raises(UserError, match=says):
        run(packed_set, tmp_path / "s", recipe)


def test_a_batch_of_one_trains_as_reported_for_rcnn(packed_set, tmp_path):
    recipe = dataclasses.replace(
        RECIPE, batch_size=1, epochs=1, width=1 / 64, image_size=128, optimizer="sgd"
    )
    assert len(run(packed_set, tmp_path / "s", recipe, "rcnn").log) == 1


def test_the_head_alone_is_trained_first(packed_set, tmp_path):
    start = Detector(build("mobilenetv2_100", image_size=64), HALF, HALF)
    torch.save(start.network.state_dict(), tmp_path / "start.pt")
    recipe = dataclasses.replace(RECIPE, pretrained=str(tmp_path / "start.pt"))
    frozen = dataclasses.replace(recipe, epochs=1, head_epochs=1)
    found = run(packed_set, tmp_path / "a", frozen, "mobilenetv2_100").detector.network
    for name, value in start.network.state_dict().items():
        same_bits = torch.equal(value, found.state_dict()[name])
        assert same_bits != name.startswith("classifier"), name
    both = dataclasses.replace(recipe, epochs=2, head_epochs=1)
    found = run(packed_set, tmp_path / "b", both, "mobilenetv2_100")
    assert found.log[1]["epoch"] == 2
    if found.cost["best_epoch"] == 2:
        moved = found.detector.network.conv_stem.weight
        assert not torch.equal(start.network.conv_stem.weight, moved)


def test_label_smoothing_is_off_unless_asked_for(packed_set, tmp_path):
    assert RECIPE.label_smoothing == 0
    smooth = dataclasses.replace(RECIPE, label_smoothing=0.2, epochs=1)
    plain = dataclasses.replace(RECIPE, epochs=1)
    one, other = (run(packed_set, tmp_path / str(r.label_smoothing), r) for r in (smooth, plain))
    assert not same(one.detector, other.detector)


def test_the_best_epoch_is_best_by_what_the_recipe_says(packed_set, tmp_path):
    for select, column, sign in (("accuracy", "valid_accuracy", 1), ("loss", "valid_loss", -1)):
        recipe = dataclasses.replace(RECIPE, select=select, epochs=4)
        found = run(packed_set, tmp_path / select, recipe)
        keys = [(sign * row[column], -row["valid_loss"]) for row in found.log]
        assert found.cost["best_epoch"] == 1 + keys.index(max(keys))


def test_watching_images_changes_nothing(packed_set, tmp_path):
    watch = Packed(packed_set / "test")
    alone = run(packed_set, tmp_path / "a")
    beside = run(packed_set, tmp_path / "b", changes={"watch": watch})
    assert same(alone.detector, beside.detector)
    assert (alone.log, alone.threshold) == (beside.log, beside.threshold)
    assert alone.watched.shape == (0, 0)
    assert beside.watched.shape == (3, len(watch))
    at_best = margins(beside.detector, Images(watch, 64), CPU)
    np.testing.assert_allclose(beside.watched[beside.cost["best_epoch"] - 1], at_best, rtol=1e-5)


def test_deterministic_mode_is_on_inside_and_off_after(packed_set, tmp_path, monkeypatch):
    seen, real = [], Trainer.one_epoch
    monkeypatch.setattr(
        Trainer, "one_epoch",
        lambda *a: seen.append(torch.are_deterministic_algorithms_enabled()) or real(*a),
    )  # fmt: skip
    for wanted in (True, False):
        run(packed_set, tmp_path / str(wanted), engine=Engine(deterministic=wanted))
    assert seen == [True] * 3 + [False] * 3
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_gives_the_same_answers(packed_set, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1, optimizer="sgd", lr=0.01)
    plain = run(packed_set, tmp_path / "a", recipe)
    compiled = run(packed_set, tmp_path / "b", recipe, engine=Engine(compile=True))
    assert compiled.detector.state_dict().keys() == plain.detector.state_dict().keys()
    for a, b in zip(plain.detector.parameters(), compiled.detector.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert plain.cost["multiply_adds"] == compiled.cost["multiply_adds"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_gpu_learns_what_a_processor_learns(packed_set, tmp_path, name):
    recipe = dataclasses.replace(RECIPE, epochs=8, precision=name)
    engine = Engine(device=torch.device("cuda"), deterministic=True)
    found = run(packed_set, tmp_path / "g", recipe, engine=engine)
    on_cpu = margins(found.detector.cpu(), Images(Packed(packed_set / "test"), 64), CPU)
    on_gpu = margins(found.detector.cuda(), Images(Packed(packed_set / "test"), 64),
                     torch.device("cuda"))  # fmt: skip
    np.testing.assert_allclose(on_cpu, on_gpu, atol=1e-2)
    assert auc(Packed(packed_set / "test").labels, on_gpu) > 0.95


def test_a_head_that_nobody_names_cannot_be_trained_first(packed_set, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "head_of", lambda network: ())
    with pytest.raises(UserError, match="head_epochs: simplenet does not say"):
        run(packed_set, tmp_path / "s", dataclasses.replace(RECIPE, head_epochs=1))
