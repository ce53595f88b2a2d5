# SPDX-License-Identifier: Apache-2.0
"""Every perturbation does what its name says, measured on pixels, and the same for the same id."""

import io
import time

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy.fft import dctn
from support import ROOT
from torchvision.transforms.v2 import functional as F

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.evaluation.perturbations import PERTURBATIONS, suite
from facetell.evaluation.perturbations.colour import turned
from facetell.images.loading import fit
from facetell.images.reencoding import launder

IDS = [f"image-{index}" for index in range(8)]
SUITES = yaml.safe_load((ROOT / "conf/config.yaml").read_text())["predict"]["suites"]
MADE = {f"{name}.{key}": v for name in SUITES for key, v in suite(SUITES, name).items()}
FIVE = {
    "grayscale": ("grayscale", {}),
    "hue": ("hue", {"amount": 0.2}),
    "blur_1": ("blur", {"sigma": 1}),
    "blur_2": ("blur", {"sigma": 2}),
    "crop": ("crop", {"pixels": 160}),
}


def apply(name: str, images: torch.Tensor, ids: list[str] | None = None, **settings):
    return PERTURBATIONS[name].function(images, ids or IDS[: len(images)], **settings)


def smooth(size: int, count: int = 8) -> torch.Tensor:
    """Random shapes, within 0.1 and 0.9."""
    noise = torch.rand(count, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(0))
    return 0.1 + 0.8 * F.resize(noise, [size, size], antialias=True).clamp(0, 1)


@pytest.fixture
def images() -> torch.Tensor:
    return smooth(64)


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


def bytes_of(image: torch.Tensor) -> np.ndarray:
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


@pytest.mark.parametrize("name", SUITES)
def test_the_reports_five_are_in_every_suite(name):
    made = suite(SUITES, name)
    found = {key: (made[key].perturbation.name, made[key].settings) for key in FIVE}
    assert found == FIVE
    assert not any(made[key].perturbation.probe for key in FIVE)
    assert sum(variant.perturbation.name == "band_stop" for variant in made.values()) == 8


def test_the_suites_are_of_their_sizes_and_use_every_perturbation():
    assert 20 <= len(suite(SUITES, "quick")) <= 30
    assert 55 <= len(suite(SUITES, "full")) <= 65
    used = {variant.perturbation.name for variant in suite(SUITES, "full").values()}
    assert used == set(PERTURBATIONS)


@pytest.mark.parametrize("variant", MADE.values(), ids=MADE)
@pytest.mark.parametrize("size", [32, 64])
def test_shape_range_and_dependence_on_the_id_alone(variant, size):
    images = smooth(size)
    images[0, :, :8], images[0, :, 8:16] = 0, 1  # what overshoots
    before = images.clone()
    batch = variant(images, IDS)
    assert (images == before).all()
    assert batch.shape == images.shape
    assert batch.dtype == images.dtype
    assert batch.min() >= 0
    assert batch.max() <= 1
    assert (batch - images).abs().mean() > 1e-4
    torch.testing.assert_close(variant(images, IDS), batch, atol=0, rtol=0)
    order = torch.tensor([3, 0, 7])
    last = images.to(memory_format=torch.channels_last)[order]
    alone = variant(last, [IDS[k] for k in order.tolist()])
    torch.testing.assert_close(alone, batch[order], atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "name", [n for n, what in PERTURBATIONS.items() if what.neutral is not None]
)
def test_nothing_happens_at_the_neutral_level(images, name):
    what = PERTURBATIONS[name]
    level = what.neutral
    if name == "blur":
        level = 0.1  # the least that there is
    if name == "jpeg":  # chroma is at half resolution even then
        images = images[:, :1].expand(-1, 3, -1, -1)
    after = apply(name, images, **{what.level: level})
    assert psnr(after, images) > (50 if name == "jpeg" else 100)  # the one has 8 bits


def test_grayscale_removes_colour_and_keeps_luma(images):
    grey = apply("grayscale", images)
    assert (grey[:, 0] == grey[:, 1]).all()
    assert (grey[:, 0] == grey[:, 2]).all()
    luma = (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    torch.testing.assert_close(grey[:, 0], luma, atol=1e-3, rtol=0)


@pytest.mark.parametrize("turn", [-0.5, -0.37, -0.1, 0.0, 0.05, 0.25, 0.5])
def test_hue_turns_as_torchvision_does(images, turn):
    images = images.clone()
    images[0] = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    images[1] = images[1, :1]  # grey
    images[2, 0], images[2, 1] = 0, 1
    images[3] = images[3].round()  # the corners of the cube
    images[4, 1] = images[4, 2]
    found = apply("hue_turn", images, turn=turn)
    torch.testing.assert_close(found, F.adjust_hue(images, turn), atol=1e-5, rtol=0)


def test_pure_colours_turn_by_thirds():
    red = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1).repeat(3, 1, 2, 2)
    found = turned(red, torch.tensor([1 / 3, -1 / 3, 0.5]))[:, :, 0, 0]
    wanted = torch.tensor([[0.2, 0.8, 0.2], [0.2, 0.2, 0.8], [0.2, 0.8, 0.8]])
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_hue_is_turned_much_faster_than_by_torchvision():
    images = torch.rand(8, 3, 224, 224)
    spent = {turned: [], F.adjust_hue: []}
    for _ in range(5):
        for function in spent:
            started = time.perf_counter()
            function(images, torch.full((8,), 0.1) if function is turned else 0.1)
            spent[function].append(time.perf_counter() - started)
    assert min(spent[turned]) < min(spent[F.adjust_hue]) / 2


def test_random_hue_is_uniform_within_its_amount():
    flat = torch.tensor([0.8, 0.3, 0.2]).view(1, 3, 1, 1).expand(400, 3, 2, 2)
    found = apply("hue", flat, [f"i{index}" for index in range(400)], amount=0.2)[:, :, 0, 0]
    # hue of this red by the channel in the middle: 1/36 of the circle before
    x, y = found[:, 0] - (found[:, 1] + found[:, 2]) / 2, (found[:, 1] - found[:, 2]) * 3**0.5 / 2
    angle = torch.atan2(y, x) / (2 * torch.pi) - 1 / 36
    assert angle.abs().max() <= 0.2 + 0.03  # the hexagon is not quite the circle
    assert angle.max() > 0.17
    assert angle.min() < -0.17
    assert angle.mean().abs() < 0.02
    assert angle.std() == pytest.approx(0.4 / 12**0.5, rel=0.1)
    torch.testing.assert_close(found.amax(1), torch.full((400,), 0.8), atol=1e-6, rtol=0)


def test_brightness_contrast_and_saturation_by_hand():
    two = torch.tensor([[0.2, 0.4, 0.6], [0.4, 0.4, 0.4]]).T.reshape(1, 3, 1, 2)
    luma = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    mean = (luma + 0.4) / 2
    for found, wanted in (
        (apply("brightness", two, factor=2), [[0.4, 0.8, 1.0], [0.8, 0.8, 0.8]]),
        (apply("contrast", two, factor=0.5), (two[0, :, 0, 0] / 2 + mean / 2, 0.2 + mean / 2)),
        (apply("saturation", two, factor=0), (luma, 0.4)),
        (apply("saturation", two, factor=2), (2 * two[0, :, 0, 0] - luma, 0.4)),
    ):
        for at in (0, 1):
            one = torch.as_tensor(wanted[at]).expand(3)
            torch.testing.assert_close(found[0, :, 0, at], one, atol=2e-4, rtol=0)


@pytest.mark.parametrize("sigma", [1, 2])
def test_the_reports_blurs_equal_its_kernel_of_17(images, sigma):
    theirs = F.gaussian_blur(images, [17, 17], [sigma, sigma])
    torch.testing.assert_close(apply("blur", images, sigma=sigma), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [1, 2, 3, 4, 5, 6])
def test_blur_spreads_a_point_by_sigma(sigma):
    point = torch.zeros(1, 3, 65, 65)
    point[:, :, 32, 32] = 1
    spread = apply("blur", point, sigma=sigma)[0, 0]
    variance = (spread.sum(0) * (torch.arange(65) - 32.0) ** 2).sum()
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert variance**0.5 == pytest.approx(sigma, rel=0.02)
    torch.testing.assert_close(spread, spread.T, atol=1e-7, rtol=0)


def test_blur_of_images_smaller_than_the_kernel_keeps_their_mean():
    ramp = torch.linspace(0, 1, 8).expand(1, 3, 8, 8)
    found = apply("blur", ramp, sigma=20)
    torch.testing.assert_close(found, torch.full_like(found, 0.5), atol=0.02, rtol=0)


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_noise_is_normal_of_its_deviation_and_apart_for_each_pixel(deviation):
    grey = torch.full((4, 3, 64, 64), 0.5)
    added = apply("noise", grey, deviation=deviation) - 0.5
    assert added.std() == pytest.approx(deviation, rel=0.02)
    assert added.mean().abs() < 0.02 * deviation
    assert (added.abs() < deviation).double().mean() == pytest.approx(0.683, abs=0.01)
    for one, other in ((added[0], added[1]), (added[:, 0], added[:, 1]), (added, added.roll(1))):
        pair = torch.stack([one.flatten(), other.flatten()])
        assert torch.corrcoef(pair)[0, 1].abs() < 0.03


def test_noise_is_that_of_the_ids_seed():
    grey = torch.full((1, 3, 32, 32), 0.5)
    random = torch.Generator().manual_seed(seed_of("noise", 0.02, "a"))
    wanted = 0.5 + 0.02 * torch.randn(3, 32, 32, generator=random)
    found = apply("noise", grey, ["a"], deviation=0.02)[0]
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_resize_keeps_what_fewer_pixels_can_show_and_no_more():
    place = torch.arange(64) + 0.5
    coarse, fine = (0.5 + 0.4 * torch.cos(torch.pi * place * f) for f in (1 / 32, 0.9))
    waves = torch.stack([coarse, fine])[:, None, None].expand(2, 3, 64, 64)
    found = apply("resize", waves, share=0.5)
    assert found[0].std() == pytest.approx(float(waves[0].std()), rel=0.05)
    assert found[1].std() < 0.15 * waves[1].std()
    losses = [psnr(apply("resize", smooth(64), share=s), smooth(64)) for s in (0.75, 0.5, 0.25)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("quality", [95, 75, 10])
def test_jpeg_is_that_of_pillow(images, quality):
    found = apply("jpeg", images, quality=quality)
    for image, one in zip(images, found, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(bytes_of(image)).save(buffer, "JPEG", quality=quality, subsampling=2)
        theirs = np.asarray(Image.open(buffer))
        np.testing.assert_array_equal(bytes_of(one), theirs)


def test_jpeg_loses_more_at_lower_quality(images):
    losses = [psnr(apply("jpeg", images, quality=q), images) for q in (95, 75, 50, 25, 10)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 5


@pytest.mark.parametrize("platform", ["facebook", "telegram", "twitter"])
def test_laundering_is_that_of_the_files(images, platform):
    found = apply("launder", images, platform=platform)
    for image, name, one in zip(images, IDS, found, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(bytes_of(image)).save(buffer, "PNG")
        laundered = Image.open(io.BytesIO(launder(buffer.getvalue(), platform, name)))
        wanted = fit(np.array(laundered), 64).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(bytes_of(one), wanted)


@pytest.mark.parametrize(("size", "side"), [(224, 160), (256, 160), (64, 46), (112, 80)])
def test_crop_is_160_px_of_224_and_enlarged(size, side):
    ramp = torch.linspace(0, 1, size).expand(1, 3, size, size)
    found = apply("crop", ramp, pixels=160)
    start = (size - side) // 2
    middle = ramp[:, :, start : start + side, start : start + side].numpy()[0, 0]
    wanted = Image.fromarray(middle).resize((size, size), Image.Resampling.BILINEAR)
    torch.testing.assert_close(found[0, 0], torch.tensor(np.array(wanted)), atol=1e-5, rtol=0)
    kept = apply("crop_unscaled", ramp, pixels=160)
    inside = torch.zeros(size, size, dtype=torch.bool)
    inside[start : start + side, start : start + side] = True
    assert (kept[0, :, inside] == ramp[0, :, inside]).all()
    assert (kept[0, :, ~inside] == 0.5).all()


@pytest.mark.parametrize("degrees", [-20, 5, 30, 90])
def test_rotation_turns_the_axes_of_a_shape(degrees):
    y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
    shape = torch.exp(-0.5 * ((x / 8) ** 2 + (y / 3) ** 2)).expand(1, 3, 64, 64)
    found = apply("rotate", shape, degrees=degrees)[0, 0]
    xx, yy, xy = ((found * moment).sum() / found.sum() for moment in (x * x, y * y, x * y))
    axis = torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy))  # rows count downwards
    assert abs((float(axis) + degrees + 90) % 180 - 90) < 0.5
    assert xx + yy == pytest.approx(8**2 + 3**2, rel=0.02)


def test_rotation_leaves_no_corner_black_and_equals_torchvision_inside():
    bright = torch.full((1, 3, 64, 64), 0.7)
    torch.testing.assert_close(apply("rotate", bright, degrees=30), bright)
    images = smooth(64)
    theirs = F.rotate(images, 10, F.InterpolationMode.BILINEAR)
    found = apply("rotate", images, degrees=10)
    inside = (..., slice(12, 52), slice(12, 52))
    torch.testing.assert_close(found[inside], theirs[inside], atol=1e-4, rtol=0)


def test_flip_mirrors_left_and_right():
    row = torch.tensor([0.1, 0.2, 0.3]).expand(1, 3, 2, 3)
    assert apply("flip", row)[0, 0].tolist() == row.flip(-1)[0, 0].tolist()
    assert apply("flip", row)[0, 0, 0, 0] == row[0, 0, 0, 2]


def flat_spectrum(size: int = 64) -> torch.Tensor:
    """Weak noise around grey: all frequencies, and nothing near the ends of the range."""
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(3))
    return (0.5 + 0.03 * noise).clamp(0.1, 0.9)


def spectra_of(before: torch.Tensor, after: torch.Tensor) -> tuple[np.ndarray, ...]:
    """Coefficients of both by scipy, and the frequency of each as a share of Nyquist's."""
    axis = np.arange(before.shape[-1]) / before.shape[-1]
    both = (dctn(x.double().numpy(), axes=(2, 3), norm="ortho") for x in (before, after))
    return (*both, np.hypot(axis[:, None], axis))


@pytest.mark.parametrize("band", range(8))
def test_band_stop_takes_its_band_and_nothing_else(band):
    images = flat_spectrum()
    before, after, radius = spectra_of(images, apply("band_stop", images, band=band, bands=8))
    gone = (radius >= band / 8) & ((radius < (band + 1) / 8) | (band == 7))
    gone[0, 0] = False
    assert np.abs(before[..., gone]).mean() > 0.01
    assert np.abs(after[..., gone]).max() < 1e-4
    np.testing.assert_allclose(after[..., ~gone], before[..., ~gone], atol=1e-4)


@pytest.mark.parametrize("cutoff", [0.01, 0.25, 0.5, 1])
def test_low_pass_keeps_the_mean_and_what_lies_below(cutoff):
    images = flat_spectrum()
    before, after, radius = spectra_of(images, apply("low_pass", images, cutoff=cutoff))
    kept = radius < cutoff
    assert kept[0, 0]
    assert np.abs(after[..., ~kept]).max() < 1e-4
    np.testing.assert_allclose(after[..., kept], before[..., kept], atol=1e-4)


def test_bands_together_hold_the_whole_image():
    images = flat_spectrum()
    removed = sum(images - apply("band_stop", images, band=band) for band in range(8))
    mean = images.mean((2, 3), keepdim=True)
    torch.testing.assert_close(removed + mean, images, atol=1e-5, rtol=0)


def test_a_list_makes_a_variant_of_each_level():
    made = suite(
        {"mine": {"soft": {"perturbation": "blur", "sigma": [1, 2.5, 6.0]}, "flip": None}}, "mine"
    )
    assert list(made) == ["soft_1", "soft_2.5", "soft_6", "flip"]
    assert made["soft_2.5"].metadata == {
        "perturbation": "blur",
        "level": 2.5,
        "label": "Gaussian blur, standard deviation (px)",
        "neutral": 0,
        "probe": False,
    }
    assert made["flip"].metadata["level"] is None
    images = smooth(32, 2)
    after = made["soft_2.5"](images, IDS[:2])
    torch.testing.assert_close(after, apply("blur", images, sigma=2.5))


@pytest.mark.parametrize(
    ("line", "settings", "says"),
    [
        ("swirl", {}, "no perturbation swirl; there are .*blur, brightness"),
        ("soft", {"perturbation": "blurr", "sigma": 1}, "no perturbation blurr"),
        ("blur", {"strength": 2}, "unknown strength; blur takes sigma"),
        ("blur", {}, "sigma is missing; blur takes sigma"),
        ("blur", 2, "settings are written as {name: value}"),
        ("flip", {"axis": 1}, "flip takes no settings"),
        ("band_stop", {"band": [0, 1], "bands": [8, 16]}, "only band may be a list"),
        ("band_stop", {"band": 1, "bands": [8, 16]}, "only band may be a list"),
        ("band_stop", {"band": [0, 8]}, "band must be a whole number from 0 to 7, not 8"),
        ("blur", {"sigma": []}, "sigma must be a list of different levels"),
        ("blur", {"sigma": [1, 1.0]}, "sigma must be a list of different levels"),
        ("blur", {"sigma": 0}, "sigma must be a number from 0.1 to 30, not 0"),
        ("blur", {"sigma": "two"}, "sigma must be a number from 0.1 to 30, not 'two'"),
        ("blur", {"sigma": float("nan")}, "sigma must be a number"),
        ("jpeg", {"quality": [75, 0]}, "quality must be a whole number from 1 to 100, not 0"),
        ("jpeg", {"quality": 75.5}, "quality must be a whole number"),
        ("resize", {"share": 0}, "share must be a number from 0.02 to 1, not 0"),
        ("noise", {"deviation": -0.1}, "deviation"),
        ("crop", {"pixels": 300}, "pixels must be a whole number from 16 to 224"),
        ("rotate", {"degrees": 270}, "degrees"),
        ("hue", {"amount": True}, "amount must be a number from 0 to 0.5, not True"),
        ("brightness", {"factor": -1}, "factor"),
        ("low_pass", {"cutoff": 0}, "cutoff"),
        ("launder", {"platform": "myspace"}, "'myspace'; there are facebook, telegram, twitter"),
        ("clean", {"perturbation": "flip"}, "a variant clean is there already"),
    ],
)
def test_wrong_settings_name_the_line_and_what_is_right(line, settings, says):
    with pytest.raises(UserError, match=rf"^predict\.suites\.mine\.{line}: .*{says}"):
        suite({"mine": {line: settings}}, "mine")


def test_two_variants_of_one_name_are_refused():
    lines = {"blur_1": {"perturbation": "blur", "sigma": 1}, "blur": {"sigma": [1]}}
    with pytest.raises(UserError, match=r"predict\.suites\.mine\.blur: a variant blur_1 is there"):
        suite({"mine": lines}, "mine")


def test_an_unknown_suite_is_told_which_there_are():
    with pytest.raises(UserError, match=r"data\.suite: no suite 'fast'; there are quick, full"):
        suite(SUITES, "fast")
