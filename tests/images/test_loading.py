# SPDX-License-Identifier: Apache-2.0
"""Batches: every image once, whatever the workers; the middle of each, undistorted."""

from itertools import pairwise

import numpy as np
import torch

from facetell.dataset.demo import packed_demo
from facetell.dataset.rendered import RenderedSet
from facetell.images.loading import (
    TrainingImages,
    fit,
    scoring_batches,
    training_batches,
    training_order,
)
from facetell.images.packed import Packed
from facetell.training.augmentations import augmentation


def test_every_image_is_served_once_whatever_the_workers(packed_set):
    images = TrainingImages(
        Packed(packed_set / "train"), 64, augment=augmentation("flip", 64), seed=3
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


def test_sampling_by_person_keeps_each_person_together(tmp_path):
    content = RenderedSet(seed=0, size=32, train=48, valid=4, test=4, singles_per_kind=0)
    packed = packed_demo(tmp_path, content)["train"]
    images = TrainingImages(packed, 64, augment=None, seed=3)
    names = packed.persons
    orders = []
    for images.epoch in (0, 1):
        batches = training_order(images, 8, "person")
        orders.append([index for batch in batches for index in batch])
        assert sorted(orders[-1]) == list(range(48))
        changes = sum(names[a] != names[b] for a, b in pairwise(orders[-1]))
        assert changes == len(set(names)) - 1
        # the rendered persons are four images each, half of them fake
        assert all(packed.labels[batch].sum() * 2 == len(batch) for batch in batches)
    assert orders[0] != orders[1] != training_order(images, 48)[0]


def test_fit_takes_the_middle_without_distortion():
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, 32:96] = 200
    assert (fit(wide, 64) == 200).all()
    assert fit(wide[:, 32:96], 64).shape == (3, 64, 64)
    assert fit(wide, 32).shape == (3, 32, 32)
