# SPDX-License-Identifier: Apache-2.0
"""Regions of the aligned face: a partition that holds on faces; shares, rankings, sentences."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from support import photos

from facetell.common.errors import UserError
from facetell.dataset.rendered.plan import RenderedSet, plan
from facetell.dataset.rendered.render import render, scene_of
from facetell.explain.survey import regions
from facetell.explain.survey.regions import (
    FRAMES,
    REGIONS,
    Ranked,
    RegionShares,
    area_shares,
    labels,
    sentence,
    shares,
)

SIZE = 64


@pytest.mark.parametrize("frame", FRAMES)
def test_regions_share_out_the_whole_picture(frame):
    for size in (32, 64, 224):
        areas = area_shares(size, frame)
        assert sum(areas.values()) == pytest.approx(1)
        assert min(areas.values()) > 0
    fine, coarse = area_shares(512, frame), area_shares(64, frame)
    assert all(coarse[name] == pytest.approx(fine[name], abs=0.01) for name in REGIONS)
    found = labels(224, frame)
    assert (found == found[:, ::-1]).mean() > 0.995  # faces are alike on both sides
    with pytest.raises(UserError, match="ffhq, demo"):
        labels(64, "cat")


def test_an_area_is_that_of_its_outline():
    corners = regions.inside(regions.box(0.25, 0.5, 0.75, 0.625), 16)
    assert corners[8:10, 4:12].all()
    assert corners.sum() == 16
    oval = regions.inside(regions.oval(0.5, 0.5, 0.3, 0.2), 400).mean()
    assert oval == pytest.approx(np.pi * 0.3 * 0.2, rel=0.01)


def test_rendered_faces_have_their_parts_where_the_table_says():
    """The renderer knows where irises, skin and backdrop are; pose and person move them."""
    held = np.zeros((3, len(REGIONS)))
    content = RenderedSet(seed=0, train=0, valid=0, test=40, singles_per_kind=0)
    specs = [spec for spec in plan(content) if not spec.label]
    found = labels(SIZE, "demo").ravel()
    for spec in specs[:12]:
        scene = scene_of(spec, seed=0, size=SIZE)
        irises = np.zeros((SIZE, SIZE))
        for layer in scene.irises:
            height, width = layer.cover.shape[:2]
            part = np.s_[layer.y0 : layer.y0 + height, layer.x0 : layer.x0 + width]
            irises[part] += layer.cover[..., 0]
        for row, cover in enumerate((irises, scene.skin, scene.backdrop)):
            held[row] += np.bincount(found, cover.ravel(), len(REGIONS))
    held /= held.sum(axis=1, keepdims=True)
    at = {name: held[:, column] for column, name in enumerate(REGIONS)}
    assert at["eyes"][0] > 0.97
    face = sum(at[name][1] for name in ("skin", "brows", "eyes", "nose", "mouth"))
    assert face > 0.93
    assert at["background"][2] > 0.93


def extremes(faces: list[np.ndarray], frame: str) -> tuple[float, float]:
    """Of the mean of many faces: how much of the darkest percent of the face lies in the eyes, and
    of the reddest percent in the mouth."""
    mean, found = np.mean(np.stack(faces).astype(float), axis=0), labels(128, frame)
    inner = np.isin(found, [REGIONS.index(name) for name in REGIONS[3:]])
    light, red = mean.mean(axis=2), mean[..., 0] / mean[..., 1]
    darkest = inner & (light <= np.quantile(light[inner], 0.01))
    reddest = inner & (red >= np.quantile(red[inner], 0.99))
    in_eyes, in_mouth = (found == REGIONS.index(name) for name in ("eyes", "mouth"))
    return float(in_eyes[darkest].mean()), float(in_mouth[reddest].mean())


def test_rendered_faces_have_mouths_where_the_table_says():
    content = RenderedSet(seed=3, size=128, train=160, valid=0, test=0, singles_per_kind=0)
    faces = [render(one, seed=3, size=128).after for one in plan(content)[:80]]
    assert extremes(faces, "demo")[1] > 0.9


@pytest.mark.skipif(photos.REAL is None, reason=photos.WHY)
def test_aligned_photos_have_eyes_and_mouths_where_the_table_says():
    with zipfile.ZipFile(photos.REAL) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::25]
        faces = [
            np.asarray(Image.open(io.BytesIO(archive.read(name))).resize((128, 128)))
            for name in names
        ]
    assert min(extremes(faces, "ffhq")) > 0.9


def test_an_even_map_has_the_share_of_the_area():
    areas = np.array(list(area_shares(SIZE, "ffhq").values()))
    even = shares(np.ones((2, 8, 8)), size=SIZE, frame="ffhq")
    np.testing.assert_allclose(even[0], areas, atol=1e-6)
    mouth = (labels(SIZE, "ffhq") == REGIONS.index("mouth")).astype(float)
    found = shares(np.stack([mouth, -mouth, 3 * mouth - 1]), size=SIZE, frame="ffhq")
    assert found[0, REGIONS.index("mouth")] == 1
    assert np.isnan(found[1]).all()  # nothing speaks for it
    assert found[2, REGIONS.index("mouth")] == 1  # what speaks against it does not count


def filled(strength: float = 3.0) -> RegionShares:
    """Fakes whose mouth has ``strength`` times the relevance of all else; reals that are even."""
    rng, table = np.random.default_rng(0), RegionShares(SIZE, "ffhq", resamples=1000, seed=0)
    mouth = labels(SIZE, "ffhq") == REGIONS.index("mouth")
    for batch in range(4):
        maps = rng.random((20, SIZE, SIZE)) + 0.5
        maps[::2] *= np.where(mouth, strength, 1)
        persons = [f"p{batch}-{index // 2}" for index in range(20)]
        table.add({"gradcam": {"layer1": maps}}, ["fake", "real"] * 10, persons)
    return table


def test_table_has_ratios_by_class():
    rows = filled().table().set_index(["class", "region"])
    assert len(rows) == 2 * len(REGIONS)
    mouth = rows.loc[("fake", "mouth")]
    area = area_shares(SIZE, "ffhq")["mouth"]
    assert mouth["ratio"] == pytest.approx(3 / (1 + 2 * area), rel=0.02)
    assert mouth["ratio_low"] < mouth["ratio"] < mouth["ratio_high"]
    assert (mouth["n"], mouth["persons"], mouth["undefined"]) == (40, 40, 0)
    assert rows.loc["real", "ratio"].to_numpy() == pytest.approx(np.ones(8), abs=0.03)
    assert rows.loc["fake", "share"].sum() == pytest.approx(1)


def test_ranking_says_what_is_certain():
    ranked = filled().ranking(("gradcam", "layer1", "fake"))
    assert ranked[0].region == "mouth"
    assert ranked[0].above_next
    assert not all(region.above_next for region in ranked)  # the others are even
    text = sentence("resnet50", "fake", ranked, n=40, persons=40)
    assert text.startswith("resnet50 looks 2.8 [2.8, 2.9] times as much at the mouth as its area")
    assert "40 fake images of 40 persons" in text


def test_sentences_admit_what_is_not_known():
    sure, unsure = (Ranked("mouth", 2.0, 1.5, 2.5, flag) for flag in (True, False))
    second, low = Ranked("eyes", 1.8, 1.4, 2.2, True), Ranked("skin", 0.9, 0.7, 1.1, True)
    one = sentence("m", "fake", [sure, second, low], n=5, persons=3)
    assert "then at the eyes (1.8 [1.4, 2.2])" in one
    assert "skin" not in one
    assert "not certain" not in one
    two = sentence("m", "fake", [unsure, second, low], n=5, persons=3)
    assert "not certain for mouth and eyes" in two
    assert "no region certainly more" in sentence("m", "fake", [low], n=5, persons=3)
    assert "nothing can be said" in sentence("m", "fake", [], n=5, persons=3)


def test_images_without_relevance_are_counted_not_averaged():
    table = RegionShares(SIZE, "ffhq", resamples=100, seed=0)
    maps = np.stack([np.ones((8, 8)), np.zeros((8, 8)), np.ones((8, 8))])
    table.add({"m": {"l": maps}}, ["fake"] * 3, "abc")
    rows = table.table().set_index("region")
    assert rows.loc["eyes", "ratio"] == pytest.approx(1, abs=1e-5)
    assert rows.loc["eyes", "undefined"] == 1
