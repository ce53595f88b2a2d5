"""Training: it learns, resumes to the same bits, and never sees a test image."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from facetell import training
from facetell.detector import Card, load, save
from facetell.errors import UserError
from facetell.loading import Images, fit, scoring_batches, training_batches
from facetell.packed import Packed
from facetell.ranking import auc, best_threshold
from facetell.recipe import Recipe
from facetell.scoring import margins
from facetell.variants import variant_margins

CPU = torch.device("cpu")
RECIPE = Recipe(
    image_size=64, epochs=3, batch_size=8, lr=1e-3, schedule="onecycle", augment="flip",
    precision="float32",
)  # fmt: skip


def run(packed_set, state, recipe=RECIPE, **options):
    sets = [Packed(packed_set / f"{split}.arrow") for split in ("train", "valid")]
    options = {"seed": 0, "device": CPU, "say": lambda line: None} | options
    return training.train("simplenet", recipe, *sets, state=state, **options)


def same(one, other) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_it_learns_and_the_same_seed_gives_the_same_bits(packed_set, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=8)
    first = run(packed_set, tmp_path / "a", recipe)
    again = run(packed_set, tmp_path / "b", recipe)
    test = Packed(packed_set / "test.arrow")
    scores = margins(first.detector, Images(test, 64), CPU)
    assert auc(test.labels, scores) > 0.95
    assert same(first.detector, again.detector)
    assert first.threshold == again.threshold
    assert first.log == again.log
    other = run(packed_set, tmp_path / "c", recipe, seed=1)
    assert not same(first.detector, other.detector)


@pytest.mark.parametrize("schedule", ["onecycle", "plateau"])
def test_a_killed_run_resumes_to_the_same_bits(packed_set, tmp_path, monkeypatch, schedule):
    recipe = dataclasses.replace(RECIPE, schedule=schedule)
    whole_run = run(packed_set, tmp_path / "whole", recipe)
    real, epochs = training._Run.one_epoch, []

    def dies_in_the_third(*arguments):
        epochs.append(1)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training._Run, "one_epoch", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(packed_set, tmp_path / "cut", recipe)
    monkeypatch.setattr(training._Run, "one_epoch", real)
    said = []
    resumed = run(packed_set, tmp_path / "cut", recipe, say=said.append)
    assert "going on after epoch 2" in said[0]
    assert same(whole_run.detector, resumed.detector)
    assert whole_run.log == resumed.log
    assert whole_run.threshold == resumed.threshold


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
    shutil.copy(packed_set / "test.arrow", moved / "train.arrow")
    shutil.copy(packed_set / "valid.arrow", moved / "valid.arrow")
    said = []
    run(moved, tmp_path / "s", say=said.append)
    assert "other images" in said[0]


def test_checkpoint_and_threshold_come_from_validation_alone(packed_set, tmp_path):
    """Training gets no test set at all; its choices follow from the validation images."""
    result = run(packed_set, tmp_path / "s")
    valid = Packed(packed_set / "valid.arrow")
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
    with pytest.raises(UserError, match=r"loss is (nan|inf) in epoch \d+, step \d+|not finite"):
        run(packed_set, tmp_path / "s", recipe)


def test_saved_detectors_come_back_whole(packed_set, tmp_path):
    result = run(packed_set, tmp_path / "s", dataclasses.replace(RECIPE, epochs=1))
    card = Card(network="simplenet", width=1.0, image_size=64, mean=RECIPE.mean, std=RECIPE.std,
                threshold=result.threshold, data="f" * 64)  # fmt: skip
    save(result.detector, card, tmp_path / "m.safetensors")
    back, read = load(tmp_path / "m.safetensors")
    assert read == card
    assert same(back, result.detector)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "m.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="train it again"):
        load(cut)


def test_recipes_are_checked():
    good = {"image_size": 64, "epochs": 1, "batch_size": 2, "lr": 0.1}
    assert Recipe.of(good | {"mean": [0, 0, 0]}, "here").mean == (0, 0, 0)
    for wrong, says in (
        ({"learning_rate": 1}, "unknown learning_rate; there are image_size"),
        ({"epochs": 0}, "epochs must be a whole number above 0"),
        ({"lr": 0}, "lr must be above 0"),
    ):
        with pytest.raises(UserError, match=says):
            Recipe.of(good | wrong, "here")
    with pytest.raises(UserError, match=r"missing.*'lr'"):
        Recipe.of({"image_size": 64, "epochs": 1, "batch_size": 2}, "here")


def test_every_image_is_served_once_whatever_the_workers(packed_set):
    images = Images(Packed(packed_set / "train.arrow"), 64, augment="flip", seed=3)
    served = []
    for workers in (0, 2):
        batches = list(scoring_batches(images, 7, workers))
        assert torch.cat([index for index, _, _ in batches]).tolist() == list(range(48))
        shuffled = list(training_batches(images, 7, workers))
        order = torch.cat([index for index, _, _ in shuffled]).tolist()
        assert sorted(order) == list(range(48))
        served.append((order, torch.cat([image for _, image, _ in shuffled])))
    assert served[0][0] == served[1][0]
    assert torch.equal(served[0][1], served[1][1])
    images.epoch = 1
    later = torch.cat([index for index, _, _ in training_batches(images, 7)]).tolist()
    assert later != served[0][0]


def test_fit_takes_the_middle_without_distortion():
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, 32:96] = 200
    assert (fit(wide, 64) == 200).all()
    assert fit(wide[:, 32:96], 64).shape == (3, 64, 64)
    assert fit(wide, 32).shape == (3, 32, 32)


def test_variants_are_scored_on_decoded_batches(packed_set, tmp_path):
    result = run(packed_set, tmp_path / "s", dataclasses.replace(RECIPE, epochs=1))
    images = Images(Packed(packed_set / "test.arrow"), 64)
    dark = lambda batch, ids: batch * 0  # noqa: E731
    scores = variant_margins(result.detector, images, {"clean": lambda b, i: b, "dark": dark}, CPU)
    assert list(scores) == ["clean", "dark"]
    np.testing.assert_allclose(scores["clean"], margins(result.detector, images, CPU), atol=1e-5)
    assert np.ptp(scores["dark"]) < 1e-5
