# SPDX-License-Identifier: Apache-2.0
"""Every test image is scored once per variant, as if perturbed by itself.

The batches are smaller here than the set, so that there are several, the last one not full.
"""

import hashlib
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from support import picture
from torch import nn

from facetell.dataset.layouts import PRESOCIAL
from facetell.evaluation import variant_margins as variants
from facetell.evaluation.perturbations import suite
from facetell.evaluation.predictions import CONTROL
from facetell.evaluation.variant_margins import variant_margins
from facetell.images.decoding import decode
from facetell.images.loading import Images, fit
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.models.detector import Detector
from facetell.models.inference import margins

CPU = torch.device("cpu")


SUITE = suite(
    {"mine": {"grayscale": {}, "noise": {"deviation": [0.1, 0.2]}, "hue": {"amount": 0.2}}}, "mine"
)


class Pattern(nn.Module):
    """Logits from a fixed pattern: every pixel counts, differently."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 32 * 32, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return self.linear(images.flatten(1))


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(Pattern(), (0.5,) * 3, (0.5,) * 3).train()


@pytest.fixture
def seven(tmp_path, monkeypatch) -> Images:
    """Seven images; the second, fourth and seventh have twins."""
    for name in ("BATCH", "LARGEST_BATCH"):
        monkeypatch.setattr(variants, name, 3)
    names = [f"i{index}.jpg" for index in range(7)]
    twins = ["", "t1.jpg", "", "t3.jpg", "", "", "t6.jpg"]
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as archive:
        for index, name in enumerate(names):
            archive.writestr(name, picture(index))
            archive.writestr(f"t{index}.jpg", picture(100 + index))
    rows = pd.DataFrame({"id": names, "path": names, "label": [0, 1, 0, 1, 0, 0, 1]})
    rows["sha256"] = [hashlib.sha256(picture(index)).hexdigest() for index in range(7)]
    rows = rows.assign(set="set", person=names, mask="", twin=twins, platform=PRESOCIAL)
    rows = rows.assign(laundered=False, artefacts="", bytes=1000)
    pack([rows], {"set": tmp_path / "raw.zip"}, tmp_path / "test")
    return Images(Packed(tmp_path / "test"), 32)


def alone(detector: Detector, data: bytes, name: str, perturb=None) -> float:
    """Margin of one image, decoded and perturbed by itself."""
    image = fit(decode(data), 32)[None] / 255
    image = image if perturb is None else perturb(image, [name])
    with torch.inference_mode():
        logits = detector.network(((image - 0.5) / 0.5).contiguous())[0]
    return float(logits[1] - logits[0])


def test_every_variant_scores_every_image_as_if_it_were_alone(detector, seven):
    found = variant_margins(detector, seven, SUITE, CPU)
    assert detector.training
    assert list(found) == ["clean", "grayscale", "noise_0.1", "noise_0.2", "hue", CONTROL]
    packed = seven.packed
    detector.eval()
    for variant, perturb in ({"clean": None} | SUITE).items():
        wanted = [alone(detector, packed.image(at), packed.ids[at], perturb) for at in range(7)]
        assert found[variant].dtype == np.float64
        np.testing.assert_allclose(found[variant], wanted, atol=1e-5)
        assert variant == "clean" or np.abs(found[variant] - found["clean"]).min() > 1e-4
    shown = [packed.twin(at) or packed.image(at) for at in range(7)]
    wanted = [alone(detector, data, "") for data in shown]
    np.testing.assert_allclose(found[CONTROL], wanted, atol=1e-5)


def test_every_image_is_decoded_once_and_perturbed_once_per_variant(detector, seven, monkeypatch):
    decoded, perturbed = [], []
    once = seven.packed.image
    monkeypatch.setattr(seven.packed, "image", lambda at: decoded.append(at) or once(at))

    def note(images: torch.Tensor, ids: list[str]) -> torch.Tensor:
        perturbed.extend(ids)
        assert images.shape == (len(ids), 3, 32, 32)
        assert images.min() >= 0
        assert images.max() <= 1
        return images

    found = variant_margins(detector, seven, {"one": note, "two": note}, CPU)
    assert decoded == list(range(7))
    assert sorted(perturbed) == sorted([*seven.packed.ids] * 2)
    np.testing.assert_array_equal(found["one"], found["clean"])


def test_a_perturbation_does_not_reach_the_next_one(detector, seven):
    alone = variant_margins(detector, seven, {"hue": SUITE["hue"]}, CPU)
    after = variant_margins(detector, seven, dict(reversed(SUITE.items())), CPU)
    np.testing.assert_array_equal(alone["hue"], after["hue"])
    np.testing.assert_array_equal(alone["clean"], after["clean"])


def test_the_bar_counts_images_times_variants(detector, seven, monkeypatch):
    said, steps = [], []

    class Bar(io.StringIO):
        def update(self, count: int) -> None:
            steps.append(count)

    def bar(items, what, total):
        said.append(total)
        return Bar()

    monkeypatch.setattr(variants, "progress", bar)
    variant_margins(detector, seven, SUITE, CPU)
    assert said == [7 * 5]
    assert sum(steps) == 7 * 5


def test_clean_margins_are_those_of_inference(detector, seven):
    dark = lambda batch, ids: batch * 0  # noqa: E731
    scores = variant_margins(detector, seven, {"dark": dark}, CPU)
    np.testing.assert_allclose(scores["clean"], margins(detector, seven, CPU), atol=1e-5)
    assert np.ptp(scores["dark"]) < 1e-5
