# SPDX-License-Identifier: Apache-2.0
"""Sizes at which a training would fail after hours, or in a library's words, are refused first."""

from pathlib import Path

import pytest
from support import built, folder_entries, separable
from support.training import RECIPE, job, run

from facetell.common.distributed import World
from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.images.loading import TrainingImages, training_order
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.training.recipe import Recipe
from facetell.training.sizes import check_sets
from facetell.training.trainer import Trainer

SIZE = 32  # px, at which resnet10t ends in maps of one pixel


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Five images to train on: two and three of each class; two for the other splits."""
    home = tmp_path_factory.mktemp("sizes")
    entries = folder_entries({"train": 3, "valid": 1, "test": 1}, lambda *at: separable(*at, SIZE))
    del entries["train/real/train002r.jpg"]
    manifest = built(home, entries).manifest
    files = {"folder": home / "raw/folder"}
    for split in SPLITS:
        pack([manifest[manifest["split"] == split]], files, home / split)
    for label, name in enumerate(("real", "fake")):
        part = manifest[(manifest["split"] == "train") & (manifest["label"] == label)]
        pack([part], files, home / name)
    pack([manifest[:0]], files, home / "empty")
    return home


def recipe(**changes) -> Recipe:
    plain = {"image_size": SIZE, "epochs": 1, "batch_size": 8, "lr": 1e-3, "precision": "float32"}
    return Recipe(**plain | changes)


@pytest.mark.parametrize(
    "sizes", [{}, {"batch_size": 4}, {"batch_size": 5, "micro_batch": 3}, {"batch_size": 2}]
)
def test_a_single_value_is_never_normalised(home, tmp_path, sizes):
    """A last batch of one is left out, and micro-batches are even."""
    fitted = run(home, tmp_path, recipe(**sizes), "resnet10t")
    assert len(fitted.log) == 1


@pytest.mark.parametrize(
    "sizes", [{"batch_size": 1}, {"micro_batch": 1}, {"batch_size": 5, "micro_batch": 2}]
)
def test_batches_of_one_are_refused_where_batch_norm_has_one_value(home, tmp_path, sizes):
    with pytest.raises(UserError, match=r"batch_size: the batch norm layer4\..* of 32 px"):
        run(home, tmp_path, recipe(**sizes), "resnet10t")
    larger = recipe(image_size=64, **sizes)  # maps of 2 x 2
    assert len(run(home, tmp_path, larger, "resnet10t").log) == 1


def test_processes_that_share_a_batch_are_counted_together(home):
    settings = recipe(batch_size=4, micro_batch=1)
    world = World(rank=0, size=2)
    trainer = Trainer(job(home, recipe(batch_size=4), "resnet10t"))
    trainer.world = trainer.updater.world = world
    trainer.updater.recipe = settings
    assert trainer._normalised_together() == [2, 2]


@pytest.mark.parametrize(("processes", "sizes"), [(1, [3, 2]), (2, [3, 2]), (3, [3])])
def test_a_batch_that_not_every_process_has_a_part_of_is_left_out(home, processes, sizes):
    images = TrainingImages(Packed(home / "train"), SIZE, augment=None, seed=0)
    assert list(map(len, training_order(images, 3, processes=processes))) == sizes


@pytest.mark.parametrize("network", ["simplenet", "densenet121"])
def test_images_too_small_for_a_network_are_refused(home, tmp_path, network):
    with pytest.raises(UserError, match=r"image|px"):
        run(home, tmp_path, recipe(image_size=8), network)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_one_cycle_of_a_few_updates(home, tmp_path, epochs):
    fitted = run(home, tmp_path, recipe(schedule="onecycle", epochs=epochs), "resnet10t")
    assert len(fitted.log) == epochs


def test_sets_without_a_class_are_refused_before_the_first_epoch(home, tmp_path):
    said = []
    for part in ("real", "fake", "empty"):
        for changes in ({"train_set": part}, {"valid_set": part}):
            packed = {name: Packed(home / one) for name, one in changes.items()}
            with pytest.raises(UserError, match=rf"there is no \w+ image .*{part}:"):
                run(home, tmp_path, RECIPE, changes=packed, say=said.append)
    assert not said


def test_more_processes_than_images(home):
    train, valid = (Packed(home / split) for split in ("train", "valid"))
    check_sets(train, valid, processes=5)
    with pytest.raises(UserError, match=r"^processes: 6 cannot share 5 training images"):
        check_sets(train, valid, processes=6)
