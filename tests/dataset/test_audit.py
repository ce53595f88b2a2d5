# SPDX-License-Identifier: Apache-2.0
"""The audit: planted shortcuts are found and named, and nothing else is."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import built

from facetell.common.figure_style import save
from facetell.common.labels import SPLITS
from facetell.dataset import audit as module
from facetell.dataset.audit import (
    ALL,
    GROUPS,
    SPECTRAL,
    WORDS,
    Measured,
    audit,
    measure,
    sample,
    warnings,
)
from facetell.images.packing import pack
from facetell.images.pixel_statistics import MEASURED
from facetell.images.spectra import BANDS, RADII
from facetell.report.figures import data as draw

COUNT = {"train": 80, "valid": 20, "test": 20}  # of each class


def photo(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((64, 64), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray((pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype("u1"))


def jpeg(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **({"quality": 90, "subsampling": 2} | options))
    return buffer.getvalue()


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x010F] = "a maker of cameras"
    return found


def tinted(image: Image.Image) -> Image.Image:
    return Image.merge("RGB", [image.getchannel(0).point(lambda v: v * 0.5), *image.split()[1:]])


SHORTCUTS = {  # what is done to fakes, and the group that must tell
    "jpeg_quality": lambda image: jpeg(image, quality=70),
    "width_and_height": lambda image: jpeg(image.resize((72, 64))),
    "exif": lambda image: jpeg(image, exif=exif()),
    "chroma_subsampling": lambda image: jpeg(image, subsampling=0),
    "sharpness": lambda image: jpeg(image.resize((32, 32)).resize((64, 64))),
    "mean_colour": lambda image: jpeg(tinted(image)),
}


def measured(home, change) -> Measured:
    entries = {}
    for split, count in COUNT.items():
        for number in range(count):
            seed = 10_000 * SPLITS.index(split) + 2 * number
            entries[f"{split}/real/{number}.jpg"] = jpeg(photo(seed))
            entries[f"{split}/fake/{number}.jpg"] = change(photo(seed + 1))
    manifest = built(home, entries).manifest
    for split in SPLITS:
        part = manifest[manifest["split"] == split]
        pack([part], {"folder": home / "raw/folder"}, home / split)
    return measure(sample(manifest, None, 0), {s: home / s for s in SPLITS})


@pytest.mark.parametrize("group", SHORTCUTS)
def test_a_planted_shortcut_is_found_and_named(tmp_path, group):
    areas = audit(measured(tmp_path, SHORTCUTS[group]), resamples=50)
    assert areas[group]["auc"] > 0.95
    assert areas[ALL]["auc"] > 0.95
    first = f"{WORDS[group]} alone separates fake from real images with an AUC of "
    assert [line for line in warnings(areas) if line.lower().startswith(first.lower())]
    follows = {
        "jpeg_quality": {"quantisation_table", "file_size", "sharpness", "noise"},
        "width_and_height": {"file_size", "sharpness", "noise"},
        "exif": {"file_size"},
        "chroma_subsampling": {"file_size"},
        "sharpness": {"noise", "file_size"},
        "mean_colour": {"file_size", "sharpness", "noise"},
    }[group]
    for other in set(GROUPS) - follows - {group}:
        assert areas[other]["auc"] < 0.6, other


def test_where_nothing_was_planted_nothing_is_found(tmp_path):
    found = measured(tmp_path, jpeg)
    areas = audit(found, resamples=200)
    assert list(areas) == [*GROUPS, ALL, SPECTRAL]
    for name, numbers in areas.items():
        assert 0.35 < numbers["auc"] < 0.62, name
        assert numbers["low"] <= numbers["auc"] <= numbers["high"]
    assert areas["exif"] == {"auc": 0.5, "low": 0.5, "high": 0.5}
    assert [line for line in warnings(areas) if "alone" in line and "0.6" not in line] == []
    assert audit(found, resamples=200) == areas, "seeded"
    figures = {
        "shortcuts": draw.shortcuts(areas, 0.6, "t"),
        "spectrum": draw.spectrum(
            {name: found.features[(found.table["label"] == label).to_numpy(), :RADII]
             for label, name in enumerate(("real", "fake"))}, found.cosines, "t"
        ),
    }  # fmt: skip
    words = [label.get_text() for label in figures["shortcuts"].axes[0].get_yticklabels()]
    assert words == [WORDS[name] for name in areas]
    for name, figure in figures.items():
        save(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def table(size: int, **columns) -> Measured:
    """Rows in which nothing tells the label but what is given."""
    random = np.random.default_rng(0)
    made = {name: random.normal(size=size) for name in MEASURED}
    made |= {"bytes": random.integers(1, 99, size), "width": 64, "height": 64, "format": "JPEG"}
    made |= {"mode": "RGB", "jpeg_quality": 75, "quant_table": "a", "subsampling": "4:2:0"}
    made |= {"exif": False, "label": np.arange(size) % 2, "person": [f"p{i}" for i in range(size)]}
    features = random.normal(size=(size, RADII + BANDS**2)).astype(np.float32)
    return Measured(pd.DataFrame(made | columns), features, {})


def test_persons_are_not_divided_between_folds():
    """File size names the person, and a person has one label: divided, that is a shortcut."""
    random = np.random.default_rng(1)
    person = np.repeat(np.arange(80), 12)
    label, size = random.integers(0, 2, 80)[person], random.permutation(80)[person] * 1000
    columns = {"bytes": size, "label": label, "person": [f"p{p}" for p in person]}
    assert audit(table(960, **columns), resamples=20)["file_size"]["auc"] < 0.65
    alone = columns | {"person": [f"q{i}" for i in range(960)]}
    assert audit(table(960, **alone), resamples=20)["file_size"]["auc"] > 0.9


def test_too_few_persons_are_not_audited():
    areas = audit(table(60, person=[f"p{i % 6}" for i in range(60)]))
    assert areas == {}
    assert warnings(areas) == [
        "The audit was skipped: it needs images of at least 20 persons in each class."
    ]


def test_the_sample_is_seeded_and_takes_only_what_is_used():
    manifest = pd.DataFrame({"id": range(100), "split": ["train", "valid", "test", "unused"] * 25})
    chosen = sample(manifest, 30, seed=1)
    assert len(chosen) == 30
    assert "unused" not in set(chosen["split"])
    assert chosen["id"].is_monotonic_increasing
    assert chosen.equals(sample(manifest, 30, seed=1))
    assert not chosen.equals(sample(manifest, 30, seed=2))
    assert len(sample(manifest, None, 0)) == len(sample(manifest, 999, 0)) == 75


def test_warnings_follow_the_limit_and_what_was_done_already(monkeypatch):
    areas = {"jpeg_quality": {"auc": 0.7, "low": 0.65, "high": 0.75}}
    areas[ALL] = {"auc": 0.72, "low": 0.7, "high": 0.74}
    alone, combined = warnings(areas)
    assert alone == (
        "JPEG quality alone separates fake from real images with an AUC of 0.70 [0.65, 0.75]. A "
        "detector may learn this instead of the faces."
    )
    assert combined.startswith("All shortcuts combined reach an AUC of 0.72 [0.70, 0.74].")
    assert combined.endswith("`-S data.harmonise=true`.")
    again = warnings(areas, harmonised=True)[1]
    assert again.endswith("although all images were re-encoded in one way (`data.harmonise`).")
    assert "-S" not in again
    monkeypatch.setattr(module, "LIMIT", 0.71)
    assert warnings(areas) == [combined]


def test_a_gallery_copes_with_a_split_without_a_group(tmp_path):
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    groups = {"real": {"train": [image] * 3, "test": [image]}, "fake": {"test": [image] * 2}}
    figure = draw.gallery(groups, "t")
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == ["none"]
    save(figure, tmp_path / "g.png")
    save(draw.augmented({"a": [image] * 2, "b": [image] * 2}, "t"), tmp_path / "a.png")
