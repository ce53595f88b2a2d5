"""Every perturbation does what its name says, measured on pixels."""

import pytest
import torch
import yaml
from conftest import ROOT
from torchvision.transforms.v2 import functional as F

from facetell.errors import UserError
from facetell.perturbations import PERTURBATIONS, variants

IDS = [f"image-{index}" for index in range(8)]
DEFAULTS = yaml.safe_load((ROOT / "conf/config.yaml").read_text())["predict"]["variants"]


@pytest.fixture
def images():
    noise = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return F.resize(noise, [64, 64], antialias=True).clamp(0, 1)


def hue_of(images: torch.Tensor) -> torch.Tensor:
    """Mean hue angle per image, from the chroma plane."""
    red, green, blue = images.unbind(1)
    x, y = red - (green + blue) / 2, (green - blue) * 3**0.5 / 2
    return torch.atan2(y.mean((1, 2)), x.mean((1, 2)))


def test_the_default_variants_are_those_of_the_report(images):
    made = variants(DEFAULTS)
    assert list(made) == ["clean", "grayscale", "hue", "blur1", "blur2", "crop"]
    assert {name: f.keywords for name, f in made.items() if name != "clean"} == {
        "grayscale": {},
        "hue": {"amount": 0.2},
        "blur1": {"sigma": 1.0},
        "blur2": {"sigma": 2.0},
        "crop": {"share": 160 / 256},
    }
    assert (made["clean"](images, IDS) == images).all()


@pytest.mark.parametrize("name", DEFAULTS)
def test_shape_range_and_dependence_on_the_id_alone(images, name):
    perturb = variants(DEFAULTS)[name]
    batch = perturb(images, IDS)
    assert batch.shape == images.shape
    assert batch.min() >= 0
    assert batch.max() <= 1
    assert (batch - images).abs().mean() > 1e-3
    order = torch.tensor([3, 0, 7])
    alone = perturb(images[order], [IDS[k] for k in order.tolist()])
    torch.testing.assert_close(alone, batch[order], atol=1e-6, rtol=0)


def test_grayscale_removes_colour_and_keeps_luma(images):
    grey = PERTURBATIONS["grayscale"](images, IDS)
    assert (grey[:, 0] == grey[:, 1]).all()
    assert (grey[:, 0] == grey[:, 2]).all()
    luma = (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)
    torch.testing.assert_close(grey[:, 0], luma, atol=1e-3, rtol=0)


def test_hue_turns_colours_differently_per_image_and_keeps_value():
    flat = torch.tensor([0.8, 0.3, 0.2]).view(1, 3, 1, 1).expand(400, 3, 4, 4).contiguous()
    names = [f"i{index}" for index in range(400)]
    turned = PERTURBATIONS["hue"](flat, names, amount=0.2)
    angle = (hue_of(turned) - hue_of(flat)) / (2 * torch.pi)
    assert angle.abs().max() <= 0.2 + 0.03
    assert angle.max() > 0.15
    assert angle.min() < -0.15
    assert angle.mean().abs() < 0.02
    torch.testing.assert_close(turned.amax(1), flat.amax(1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_blur_equals_the_square_kernel_and_spreads_by_sigma(images, sigma):
    ours = PERTURBATIONS["blur"](images, IDS, sigma=sigma)
    theirs = F.gaussian_blur(images, [17, 17], [sigma, sigma])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    point = torch.zeros(1, 3, 65, 65)
    point[:, :, 32, 32] = 1
    spread = PERTURBATIONS["blur"](point, IDS[:1], sigma=sigma)[0, 0]
    offset = torch.arange(65) - 32.0
    variance = (spread.sum(0) * offset**2).sum()
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert variance**0.5 == pytest.approx(sigma, rel=0.02)


def test_crop_keeps_the_middle_enlarged():
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous()
    row = PERTURBATIONS["centre_crop"](ramp, IDS[:1], share=160 / 256)[0, 0, 32]
    assert row[0] == pytest.approx(12 / 63, abs=0.01)
    assert row[-1] == pytest.approx(51 / 63, abs=0.01)


def test_wrong_settings_name_the_right_ones():
    with pytest.raises(UserError, match="grayscale, hue, blur, centre_crop"):
        variants({"swirl": {}})
    with pytest.raises(UserError, match="blur takes kernel, sigma"):
        variants({"b": {"perturbation": "blur", "strength": 2}})
