"""Training: it learns, resumes to the same bits, and never sees a test image."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from facetell.common.errors import UserError
from facetell.evaluation.prediction import variant_margins
from facetell.images.loading import Images, fit, scoring_batches, training_batches, training_order
from facetell.images.packed import Packed
from facetell.metrics.ranking import auc, best_threshold
from facetell.models import build
from facetell.models.detector import Card, Detector, load, save
from facetell.models.inference import margins
from facetell.training import precision
from facetell.training import trainer as training
from facetell.training.augmentations import augmentation
from facetell.training.recipe import Recipe

CPU = torch.device("cpu")
RECIPE = Recipe(
    image_size=64, epochs=3, batch_size=8, lr=1e-3, schedule="onecycle", augment="flip",
    precision="float32",
)  # fmt: skip


def run(packed_set, state, recipe=RECIPE, network="simplenet", **options):
    sets = [Packed(packed_set / f"{split}.arrow") for split in ("train", "valid")]
    options = {"seed": 0, "say": lambda line: None} | options
    return training.train(network, recipe, *sets, state=state, **options)


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
    watch = Packed(packed_set / "test.arrow")
    whole_run = run(packed_set, tmp_path / "whole", recipe, network, watch=watch)
    real, epochs = training._Run.one_epoch, []

    def dies_in_the_third(*arguments):
        epochs.append(1)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training._Run, "one_epoch", dies_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(packed_set, tmp_path / "cut", recipe, network, watch=watch)
    monkeypatch.setattr(training._Run, "one_epoch", real)
    said = []
    resumed = run(packed_set, tmp_path / "cut", recipe, network, watch=watch, say=said.append)
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
    says = r"loss (nan|inf) in epoch 1, step 2, at learning rate 1e\+30, on the images .*train\d+"
    with pytest.raises(UserError, match=says):
        run(packed_set, tmp_path / "s", recipe)


def test_saved_detectors_come_back_whole(packed_set, tmp_path):
    result = run(packed_set, tmp_path / "s", dataclasses.replace(RECIPE, epochs=1))
    card = Card(network="simplenet", width=1.0, image_size=64, mean=RECIPE.mean, std=RECIPE.std,
                threshold=result.threshold, data="f" * 64)  # fmt: skip
    save(result.detector, card, tmp_path / "m.safetensors")
    for _ in range(5):  # the same weights are the same bytes
        save(result.detector, card, tmp_path / "again.safetensors")
        again = (tmp_path / "again.safetensors").read_bytes()
        assert again == (tmp_path / "m.safetensors").read_bytes()
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
        ({"epochs": 0}, "epochs must be a whole number, 1 or more"),
        ({"micro_batch": 0}, "micro_batch must be a whole number, 1 or more"),
        ({"lr": 0}, "lr must be a number above 0"),
        ({"warmup": -1}, "warmup must be a number, 0 or more"),
        ({"select": "test"}, "select must be auc, accuracy or loss"),
    ):
        with pytest.raises(UserError, match=says):
            Recipe.of(good | wrong, "here")
    with pytest.raises(UserError, match=r"missing.*'lr'"):
        Recipe.of({"image_size": 64, "epochs": 1, "batch_size": 2}, "here")


def test_every_image_is_served_once_whatever_the_workers(packed_set):
    images = Images(
        Packed(packed_set / "train.arrow"), 64, augment=augmentation("flip", 64), seed=3
    )
    served = []
    for workers in (0, 2):
        batches = list(scoring_batches(images, 7, workers))
        assert torch.cat([index for index, _, _ in batches]).tolist() == list(range(48))
        shuffled = list(training_batches(images, training_order(images, 7), workers))
        order = torch.cat([index for index, _, _ in shuffled]).tolist()
        assert sorted(order) == list(range(48))
        served.append((order, torch.cat([image for _, image, _ in shuffled])))
    assert served[0][0] == served[1][0]
    assert torch.equal(served[0][1], served[1][1])
    images.epoch = 1
    assert [i for batch in training_order(images, 7) for i in batch] != served[0][0]


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


def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(packed_set, tmp_path):
    """48 images by 20: the last batch is smaller, and its parts too."""
    whole_batch = dataclasses.replace(RECIPE, batch_size=20, optimizer="sgd", lr=0.01)
    parts = dataclasses.replace(whole_batch, micro_batch=3)
    one, other = (run(packed_set, tmp_path / str(r.micro_batch), r) for r in (whole_batch, parts))
    for a, b in zip(one.detector.parameters(), other.detector.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert one.log[0]["train_loss"] == pytest.approx(other.log[0]["train_loss"], rel=1e-5)


def test_a_batch_of_one_trains_as_reported_for_rcnn(packed_set, tmp_path):
    recipe = dataclasses.replace(
        RECIPE, batch_size=1, epochs=1, width=1 / 64, image_size=128, optimizer="sgd"
    )
    assert len(run(packed_set, tmp_path / "s", recipe, "rcnn").log) == 1


def test_the_head_alone_is_trained_first(packed_set, tmp_path):
    start = Detector(build("mobilenetv2_100", image_size=64), RECIPE.mean, RECIPE.std)
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
    watch = Packed(packed_set / "test.arrow")
    alone = run(packed_set, tmp_path / "a")
    beside = run(packed_set, tmp_path / "b", watch=watch)
    assert same(alone.detector, beside.detector)
    assert (alone.log, alone.threshold) == (beside.log, beside.threshold)
    assert alone.watched.shape == (0, 0)
    assert beside.watched.shape == (3, len(watch))
    at_best = margins(beside.detector, Images(watch, 64), CPU)
    np.testing.assert_allclose(beside.watched[beside.cost["best_epoch"] - 1], at_best, rtol=1e-5)


def test_what_a_training_cost(packed_set, tmp_path):
    cost = run(packed_set, tmp_path / "s").cost
    network = build("simplenet", image_size=64)
    assert cost["parameters"] == sum(p.numel() for p in network.parameters())
    # by hand: 7x7 convolutions 3-6-16-24 with outputs of 58, 23 and 5 px, then three layers
    convolutions = 49 * (3 * 6 * 58**2 + 6 * 16 * 23**2 + 16 * 24 * 5**2)
    assert cost["multiply_adds"] == convolutions + 24 * 2 * 2 * 1024 + 1024 * 256 + 256 * 2
    assert cost["images_per_second"] == pytest.approx(3 * 48 / cost["seconds"], rel=0.5)
    assert cost["memory_mib"] > 100
    assert cost["processes"] == 1
    assert cost["precision"] == "float32"
    assert "gpu_memory_mib" not in cost or torch.cuda.is_available()


@pytest.mark.parametrize("gain", [0.6, 1.9])
def test_precision_is_measured_once(packed_set, tmp_path, monkeypatch, gain):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: True)
    asked = []
    monkeypatch.setattr(precision, "_gain", lambda *_: asked.append(1) or gain)
    auto = dataclasses.replace(RECIPE, precision="auto", epochs=1)
    for attempt in range(2):
        found = run(packed_set, tmp_path / str(attempt), auto)
        assert found.cost["precision"] == ("bfloat16" if gain > 1.1 else "float32")
    assert len(asked) == 1
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: False)
    other = dataclasses.replace(auto, batch_size=7)
    assert run(packed_set, tmp_path / "c", other).cost["precision"] == "float32"
    assert len(asked) == 1


def test_measuring_precision_leaves_the_detector_as_it_was():
    model = Detector(build("mobilenetv2_100", image_size=64), RECIPE.mean, RECIPE.std).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    assert precision._gain(model, dataclasses.replace(RECIPE, batch_size=2), CPU) > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(random, torch.get_rng_state())


def test_deterministic_mode_is_on_inside_and_off_after(packed_set, tmp_path, monkeypatch):
    seen, real = [], training._Run.one_epoch
    monkeypatch.setattr(
        training._Run, "one_epoch",
        lambda *a: seen.append(torch.are_deterministic_algorithms_enabled()) or real(*a),
    )  # fmt: skip
    for wanted in (True, False):
        run(packed_set, tmp_path / str(wanted), engine=training.Engine(deterministic=wanted))
    assert seen == [True] * 3 + [False] * 3
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_gives_the_same_answers(packed_set, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1, optimizer="sgd", lr=0.01)
    plain = run(packed_set, tmp_path / "a", recipe)
    compiled = run(packed_set, tmp_path / "b", recipe, engine=training.Engine(compile=True))
    assert compiled.detector.state_dict().keys() == plain.detector.state_dict().keys()
    for a, b in zip(plain.detector.parameters(), compiled.detector.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert plain.cost["multiply_adds"] == compiled.cost["multiply_adds"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_gpu_learns_what_a_processor_learns(packed_set, tmp_path, name):
    recipe = dataclasses.replace(RECIPE, epochs=8, precision=name)
    engine = training.Engine(device=torch.device("cuda"), deterministic=True)
    found = run(packed_set, tmp_path / "g", recipe, engine=engine)
    on_cpu = margins(found.detector.cpu(), Images(Packed(packed_set / "test.arrow"), 64), CPU)
    on_gpu = margins(found.detector.cuda(), Images(Packed(packed_set / "test.arrow"), 64),
                     torch.device("cuda"))  # fmt: skip
    np.testing.assert_allclose(on_cpu, on_gpu, atol=1e-2)
    assert auc(Packed(packed_set / "test.arrow").labels, on_gpu) > 0.95
