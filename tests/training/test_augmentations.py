# SPDX-License-Identifier: Apache-2.0
"""Augmentations: the published order and settings, what they do to pixels, and refusals."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from facetell.training.augmentations import AUGMENTATIONS, augmentation


def noise(size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)


def test_s0_has_its_published_order_and_settings():
    flip, crop, grey, colour = AUGMENTATIONS["s0"](224).transforms
    assert (type(flip), flip.p) == (v2.RandomHorizontalFlip, 0.5)
    assert (type(crop), crop.size, crop.scale) == (v2.RandomResizedCrop, (224, 224), (0.7, 1.0))
    assert (type(grey), grey.p) == (v2.RandomGrayscale, 0.05)
    assert type(colour) is v2.ColorJitter
    assert [*colour.brightness, *colour.contrast] == pytest.approx([0.8, 1.2] * 2)
    assert [*colour.saturation, *colour.hue] == pytest.approx([0.9, 1.1, -0.02, 0.02])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_keep_their_kind_and_change(name):
    image, augment = noise(), augmentation(name, 64)
    torch.manual_seed(0)
    results = [augment(image) for _ in range(20)]
    assert all(r.shape == image.shape and r.dtype == torch.uint8 for r in results)
    assert any(not torch.equal(r, image) for r in results)
    torch.manual_seed(0)
    assert all(torch.equal(r, augment(image)) for r in results)


def test_the_course_crop_moves_by_up_to_four_pixels():
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 32, 32] = 255
    torch.manual_seed(0)
    found = [augmentation("course", 64)(image)[0].nonzero()[0].tolist() for _ in range(300)]
    rows, columns = zip(*found, strict=True)
    assert set(rows) == set(range(28, 37))
    assert set(columns) == set(range(27, 37))  # flipped ones mirror 32 to 31


def test_flip_is_a_coin():
    torch.manual_seed(0)
    image, augment = noise(), augmentation("flip", 64)
    flipped = sum(torch.equal(augment(image), F.horizontal_flip(image)) for _ in range(400))
    assert 160 < flipped < 240


@pytest.mark.parametrize("size", [64, 224])
def test_blur_takes_fine_detail_from_half_of_the_images(size):
    torch.manual_seed(0)
    image, augment = noise(size), augmentation("blur", size)
    detail = lambda x: x.float().diff(dim=-1).square().mean().item()  # noqa: E731
    shares = [detail(augment(image)) / detail(image) for _ in range(60)]
    untouched = sum(share == 1 for share in shares)
    assert 18 < untouched < 42
    assert min(shares) < (0.7 if size == 64 else 0.05)
    assert abs(augment(image).float().mean() - image.float().mean()) < 1


def test_several_are_applied_in_turn():
    assert augmentation(None, 64) is None
    kinds = [type(t) for t in augmentation(["s0", "blur"], 64).transforms]
    assert kinds == [v2.Compose, v2.RandomApply]
