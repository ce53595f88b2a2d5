# SPDX-License-Identifier: Apache-2.0
"""Photos like those of the validation set are passed over; others are named, with the reason."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from support.faces import faces

from facetell.images import familiarity
from facetell.images.familiarity import FEWEST, Familiarity, Subspace
from facetell.images.loading import fit

SIDE, SEEN = 80, 48


def seen(image: Image.Image) -> np.ndarray:
    return fit(np.array(image), SEEN).numpy()


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return faces(120, SIDE)


@pytest.fixture(scope="module")
def familiar(pictures) -> Familiarity:
    return Familiarity.fit([(SIDE, SIDE)] * 80, [seen(one) for one in pictures[:80]])


def said(familiar: Familiarity, images: list[Image.Image]) -> list[tuple[float, str]]:
    found = familiar.novelties([one.size for one in images], np.stack([seen(i) for i in images]))
    return [(novelty.score, " / ".join(novelty.said)) for novelty in found]


def test_images_like_the_validation_images_are_passed_over(familiar, pictures):
    flagged = [bool(words) for _, words in said(familiar, pictures[80:])]
    assert np.mean(flagged) < 0.15  # of 40, from limits that 80 images set


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.filter(ImageFilter.GaussianBlur(2)), "more blurred than 99.8%"),
        (lambda one: Image.effect_noise(one.size, 80).convert("RGB"), "noisier than 99.8%"),
        (lambda one: one.rotate(90), "layout of light and dark"),
        (lambda one: one.resize((240, 240)), "240x240 px, and the shorter sides of the validation"),
        (lambda one: one.resize((80, 160)), "2.0 times as long as wide"),
        (lambda one: one.filter(ImageFilter.GaussianBlur(2)), "frequency spectrum"),
    ],
)
def test_what_is_unlike_is_said(change, words, familiar, pictures):
    found = said(familiar, [change(one) for one in pictures[80:100]])
    assert np.mean([words in sentence for _, sentence in found]) > 0.6


def test_it_is_stored_as_json_and_comes_back(familiar, pictures):
    stored = json.loads(json.dumps(familiar.stored()))
    back = Familiarity.of(stored)
    assert back.stored() == familiar.stored() == stored
    assert said(back, pictures[:3]) == said(familiar, pictures[:3])
    assert Familiarity.of({}) is None


def test_images_are_measured_few_at_once_without_a_difference(familiar, pictures, monkeypatch):
    """As floats, all of a set at once would take gigabytes."""
    counts, measure = [], familiarity._measured
    monkeypatch.setattr(
        familiarity, "_measured", lambda pixels: counts.append(len(pixels)) or measure(pixels)
    )
    monkeypatch.setattr(familiarity, "BATCH", 30)
    again = Familiarity.fit([(SIDE, SIDE)] * 80, [seen(one) for one in pictures[:80]])
    assert counts == [30, 30, 20]
    assert again.stored() == familiar.stored()


def test_few_images_claim_nothing(pictures):
    few = [seen(one) for one in pictures[: FEWEST - 1]]
    assert Familiarity.fit([(SIDE, SIDE)] * len(few), few) is None


def test_the_distance_is_the_mahalanobis_distance():
    random = np.random.default_rng(0)
    spread = np.array([5.0, 3.0, 1.0, 1.0, 1.0])
    values = random.normal(2, spread, (5000, 5))
    found = Subspace.fit(values, rank=2)
    others = random.normal(2, spread, (1000, 5))
    expected = np.sqrt((((others - 2) / spread) ** 2).sum(axis=1))
    np.testing.assert_allclose(found.distance(others), expected, rtol=0.1)
    assert (found.distance(others) > found.limit).mean() == pytest.approx(0.005, abs=0.005)
