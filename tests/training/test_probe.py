# SPDX-License-Identifier: Apache-2.0
"""Probes: the classifier that features are best told apart by, in a detector like any other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support.training import CPU, job

from facetell.common.errors import UserError
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.metrics.ranking import best_threshold
from facetell.models import build
from facetell.models.detector import Card, Detector, save
from facetell.models.inference import margins
from facetell.training import features
from facetell.training.probe import HeadTrainer, probe
from facetell.training.recipe import Recipe
from facetell.training.trainer import Fit, Trainer, silent

RECIPE = Recipe(
    image_size=64, epochs=12, batch_size=8, lr=1e-2, schedule="constant", precision="float32",
    frozen=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """A file that stands in for published weights, of another number of classes."""
    file = tmp_path_factory.mktemp("weights") / "stand-in.pth"
    torch.manual_seed(5)
    torch.save(build("test_resnet", num_classes=1000).state_dict(), file)
    return str(file)


def run(home: Path, folder: Path, recipe: Recipe, **changes) -> Fit:
    watch = Packed(home / "test")
    made = job(home, recipe, "test_resnet", **{"watch": watch} | changes)
    return probe(made, features=folder, say=silent)


def test_the_detector_answers_as_its_classifier_did(packed_set, tmp_path, weights):
    fit = run(packed_set, tmp_path, replace(RECIPE, pretrained=weights))
    best = fit.cost["best_epoch"]
    for split, expected in (("test", fit.watched[best - 1]), ("valid", None)):
        packed = Packed(packed_set / split)
        scores = margins(fit.detector, Images(packed, 64), CPU)
        if expected is not None:
            assert np.allclose(scores, expected, atol=1e-3 * np.abs(expected).max())
        else:
            assert fit.threshold == pytest.approx(best_threshold(packed.labels, scores), abs=1e-2)
    assert fit.log[best - 1]["valid_auc"] == 1


def test_all_but_the_classifier_is_as_published(packed_set, tmp_path, weights):
    fit = run(packed_set, tmp_path, replace(RECIPE, pretrained=weights))
    published, found = torch.load(weights), fit.detector.network.state_dict()
    assert published.keys() == found.keys()
    for name, value in found.items():
        assert name.startswith("fc.") != torch.equal(value, published[name]), name
    card = Card(network="test_resnet", width=1.0, image_size=64, mean=(0.5,) * 3, std=(0.5,) * 3,
                threshold=fit.threshold, data="")  # fmt: skip
    save(fit.detector, card, tmp_path / "detector.safetensors")
    loaded = Detector.load(tmp_path / "detector.safetensors")
    assert torch.equal(loaded.network.fc.weight, fit.detector.network.fc.weight)


def test_its_optimum_is_that_of_logistic_regression(packed_set, tmp_path, weights, monkeypatch):
    """Weights decay by weight_decay / 2 |w|^2 on the mean loss, of two logits half each."""
    recipe = replace(
        RECIPE, pretrained=weights, epochs=400, batch_size=48, lr=0.05, optimizer="adam",
        weight_decay=0.02, clip=None,
    )  # fmt: skip
    made = job(packed_set, recipe, "test_resnet")
    trainers = []
    start = HeadTrainer.__init__
    monkeypatch.setattr(
        HeadTrainer, "__init__", lambda self, *a: (start(self, *a), trainers.append(self))[0]
    )
    probe(made, features=tmp_path, say=silent)
    (trainer,) = trainers
    inputs = ((trainer.train - trainer.mean.numpy()) / trainer.std.numpy()).astype(float)
    labels = made.train_set.labels
    # the margin's weights w = w1 - w0 with w1 = -w0: 0.02/2 (|w1|^2 + |w0|^2) = 0.02/4 |w|^2
    oracle = LogisticRegression(C=1 / (48 * 0.02 / 2), max_iter=5000, tol=1e-9)
    oracle.fit(inputs, labels)
    last = trainer.history.log[-1]
    margin = oracle.decision_function(inputs)
    loss = np.logaddexp(0, np.where(labels == 1, -margin, margin)).mean()
    assert last["train_loss"] == pytest.approx(loss, rel=0.03)


def test_the_next_probe_computes_no_features(packed_set, tmp_path, weights, monkeypatch):
    recipe = replace(RECIPE, pretrained=weights)
    first = run(packed_set, tmp_path, recipe)
    assert first.cost["feature_seconds"] >= 0
    files = {path: path.stat().st_ino for path in tmp_path.glob("*.npy")}
    assert len(files) == 3

    def refused(*_):
        raise AssertionError("an image went through the network")

    monkeypatch.setattr(features, "to_unit", refused)
    for change in ({"lr": 1e-3}, {"weight_decay": 0.1, "epochs": 3}):
        other = run(packed_set, tmp_path, replace(recipe, **change), seed=7)
        assert other.cost["feature_seconds"] == 0
    assert {path: path.stat().st_ino for path in tmp_path.glob("*.npy")} == files


def test_the_same_probe_gives_the_same_bits(packed_set, tmp_path, weights):
    recipe = replace(RECIPE, pretrained=weights)
    one, other = (run(packed_set, tmp_path / name, recipe) for name in "ab")
    assert torch.equal(one.detector.network.fc.weight, other.detector.network.fc.weight)
    assert [{**row} for row in one.log] == [{**row} for row in other.log]
    assert np.array_equal(one.watched, other.watched)


def test_the_log_is_that_of_any_training(packed_set, tmp_path):
    fit = run(packed_set, tmp_path, replace(RECIPE, epochs=2))
    assert list(fit.log[0]) == [
        "epoch", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "valid_auc"
    ]  # fmt: skip
    assert fit.watched.shape == (2, 24)
    assert fit.cost["epochs"] == 2
    assert fit.cost["multiply_adds"] > 0
    assert all(parameter.requires_grad for parameter in fit.detector.parameters())


def test_it_ends_when_the_learning_rate_is_too_low(packed_set, tmp_path):
    recipe = replace(RECIPE, schedule="cosine", stop_below=5e-3)
    assert run(packed_set, tmp_path, recipe).cost["epochs"] < RECIPE.epochs


def test_a_classifier_of_several_layers_is_refused(packed_set, tmp_path):
    with pytest.raises(UserError, match="the classifier of simplenet is not one linear layer"):
        probe(job(packed_set, RECIPE, "simplenet"), features=tmp_path, say=silent)


def test_a_frozen_recipe_is_not_for_the_trainer(packed_set):
    with pytest.raises(ValueError, match="frozen"):
        Trainer(job(packed_set, RECIPE, "test_resnet"))


@pytest.mark.parametrize(
    "change", [{"augment": "flip"}, {"head_epochs": 1}, {"lora": {"rank": 2}}], ids=str
)
def test_what_needs_other_features_in_each_epoch_is_refused(change):
    settings = {"image_size": 64, "epochs": 1, "batch_size": 8, "lr": 0.1, "frozen": True}
    with pytest.raises(UserError, match=f"{next(iter(change))} is not for a frozen network"):
        Recipe.of(settings | change, "here")
