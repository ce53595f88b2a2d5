# SPDX-License-Identifier: Apache-2.0
"""Sources of images: by rules, by chains of near frames, and what follows for splits."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import built, encoded

from facetell.common.errors import UserError
from facetell.dataset.grouping import by_likeness, by_rule

TABLE = pd.DataFrame({"path": ["real/a1.jpg", "fake/b1.jpg"], "scene": ["x", "y"]})


@pytest.mark.parametrize(
    ("rule", "sources"),
    [("scene", ["x", "y"]), (r"/([a-z])", ["a", "b"]), (r"\d", ["1", "1"])],
)
def test_a_column_or_an_expression_names_the_source(rule, sources):
    assert by_rule(TABLE, rule).source.tolist() == sources


@pytest.mark.parametrize(
    ("rule", "says"),
    [("(", "neither a column .* nor a regular expression"), ("a1", "does not match fake/b1.jpg")],
)
def test_rules_that_cannot_be_used(rule, says):
    with pytest.raises(UserError, match=says):
        by_rule(TABLE, rule)
    with pytest.raises(UserError, match="the column scene is empty for real/a1"):
        by_rule(TABLE.assign(scene=["", "y"]), "scene")


def test_a_few_look_alikes_are_no_frames():
    assert by_likeness(100, [(at, at + 1) for at in range(0, 20, 2)]) is None
    everything = [(at, at + 1) for at in range(99)]
    assert by_likeness(100, everything) is None


def film(seed: int, frames: int) -> list[Image.Image]:
    """A smooth picture over which the camera moves by a pixel a frame, with noise."""
    random = np.random.default_rng(seed)
    wide = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8))
    wide = wide.resize((160, 96), Image.Resampling.BICUBIC)
    shots = []
    for frame in range(frames):
        pixels = np.asarray(wide.crop((frame, 0, frame + 96, 96)), dtype=float)
        noisy = pixels + random.normal(0, 3, pixels.shape)
        shots.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    return shots


def test_near_frames_without_names_are_found_and_stay_on_one_side(tmp_path):
    """24 films of 8 frames under random names: at least 95% of neighbours share their source."""
    names = np.random.default_rng(0).permutation(24 * 8)
    entries, film_of = {}, {}
    for number in range(24):
        for frame, image in enumerate(film(number, 8)):
            path = f"{('real', 'fake')[number % 2]}/{names[8 * number + frame]:05x}.jpg"
            entries[path] = encoded(image, "JPEG", quality=90)
            film_of[f"folder/{path}"] = number
    found = built(tmp_path, entries, valid=0.2, test=0.2)
    assert "look alike" in found.grouped["folder"]
    shown = found.manifest.assign(film=found.manifest["id"].map(film_of))
    largest = shown.groupby("film")["person"].agg(lambda part: part.value_counts().iloc[0])
    assert largest.sum() / len(shown) >= 0.95
    assert (shown.groupby("person")["film"].nunique() == 1).all()
    assert (shown.groupby("person")["split"].nunique() == 1).all()
