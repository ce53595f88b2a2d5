# SPDX-License-Identifier: Apache-2.0
"""Augmentations: the published order and settings, what they do to pixels, and refusals."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from facetell.evaluation.perturbations.degradation import jpeg
from facetell.training.augmentations import AUGMENTATIONS, RandomJPEG, RandomNoise, augmentation


def noise(size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)


def smooth() -> torch.Tensor:
    """A picture that each part of ``robust`` changes, as photos are: not flat, not noise."""
    return F.gaussian_blur(noise(), [9, 9], [1.5, 1.5])


def detail(image: torch.Tensor) -> float:
    return image.float().diff(dim=-1).square().mean().item()


def parts(name: str, size: int) -> list[v2.Transform]:
    """What an augmentation does, each with probability one half."""
    halves = AUGMENTATIONS[name](size).transforms
    assert all((type(half), half.p) == (v2.RandomApply, 0.5) for half in halves)
    return [half.transforms[0] for half in halves]


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
    shares = [detail(augment(image)) / detail(image) for _ in range(60)]
    untouched = sum(share == 1 for share in shares)
    assert 18 < untouched < 42
    assert min(shares) < 0.05
    assert abs(augment(image).float().mean() - image.float().mean()) < 1


def test_blur_reaches_what_the_robustness_test_does():
    image = noise(64)
    by_two = F.gaussian_blur(image, [17, 17], [2.0, 2.0])
    torch.manual_seed(0)
    least = min(detail(augmentation("blur", 64)(image)) for _ in range(100))
    assert least == pytest.approx(detail(by_two), rel=0.3)  # sigma 2 is drawn to within 0.1


def test_robust_is_in_the_order_in_which_images_are_made():
    crop, rescale, blur, noisy, stored = parts("robust", 224)
    assert (type(crop), crop.size, crop.scale) == (v2.RandomResizedCrop, (224, 224), (0.5, 1.0))
    assert [type(part) for part in rescale.transforms] == [v2.RandomResize, v2.Resize]
    assert type(blur) is v2.GaussianBlur
    assert (list(blur.sigma), blur.kernel_size) == ([0.1, 3.0], (19, 19))
    assert type(noisy) is RandomNoise
    assert (type(stored), stored.low, stored.high) == (RandomJPEG, 30, 100)


@pytest.mark.parametrize("size", [32, 64, 96, 256])
def test_levels_of_robust_lie_within_their_ranges_and_fill_them(size):
    torch.manual_seed(0)
    _, rescale, blur, noisy, stored = parts("robust", size)
    draw = lambda part, name: [part.make_params([])[name] for _ in range(300)]  # noqa: E731
    shares = [size_ / size for (size_,) in draw(rescale.transforms[0], "size")]
    drawn = {
        (0.5, 1.0): shares,
        (0.1, 3.0): [sigma for sigma, _ in draw(blur, "sigma")],
        (0.0, 0.05): draw(noisy, "sigma"),
        (30, 100): draw(stored, "quality"),
    }
    for (low, high), levels in drawn.items():
        margin = 0.05 * (high - low)
        assert low <= min(levels) < low + margin
        assert high - margin < max(levels) <= high


@pytest.mark.parametrize("part", range(5))
def test_every_part_of_robust_falls_to_half_of_the_images_and_changes_them(part):
    image = smooth()
    chosen = augmentation("robust", 64).transforms[0].transforms[part]
    torch.manual_seed(0)
    results = [chosen(image) for _ in range(100)]
    assert all(one.shape == image.shape and one.dtype == torch.uint8 for one in results)
    untouched = sum(torch.equal(one, image) for one in results)
    assert 35 < untouched < 65


def test_noise_is_as_strong_as_it_says_and_apart_for_every_pixel_and_channel():
    grey = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    torch.manual_seed(0)
    added = RandomNoise(0.05).transform(grey, {"sigma": 0.05}).float() - 128
    assert added.std().item() == pytest.approx(0.05 * 255, rel=0.05)
    assert abs(torch.corrcoef(added.flatten(1))[0, 1]) < 0.05


def test_jpeg_is_that_of_the_robustness_test():
    image = smooth()
    tested = jpeg(image[None] / 255, ["id"], quality=50)[0]
    assert torch.equal(RandomJPEG(50, 50)(image), (tested * 255).round().to(torch.uint8))


@pytest.mark.parametrize("size", [5, 32, 33, 128, 256])
def test_robust_takes_images_of_any_size(size):
    image, augment = noise(size), augmentation(["robust", "flip"], size)
    torch.manual_seed(0)
    for _ in range(20):
        result = augment(image)
        assert (result.shape, result.dtype) == (image.shape, torch.uint8)


def test_several_are_applied_in_turn():
    assert augmentation(None, 64) is None
    kinds = [type(t) for t in augmentation(["s0", "blur"], 64).transforms]
    assert kinds == [v2.Compose, v2.RandomApply]
