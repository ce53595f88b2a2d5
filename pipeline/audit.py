# SPDX-License-Identifier: Apache-2.0
"""audit: how well shortcuts predict the label, what is in the sets, and figures of both."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from facetell.common.figure_style import legible, save
from facetell.common.files import write_json
from facetell.common.labels import CLASSES, SPLITS
from facetell.common.progress import estimating
from facetell.common.seeding import seed_of
from facetell.dataset import audit, summary
from facetell.images.decoding import decode_inspected
from facetell.images.loading import fit
from facetell.images.packed import Packed
from facetell.images.spectra import RADII
from facetell.report.figures import data as draw
from facetell.training.augmentations import AUGMENTATIONS, augmentation
from pipeline import paths
from pipeline.settings import Data, Settings
from pipeline.stage import run

PER_SPLIT = 4  # images of a group in the gallery
PER_AUGMENTATION = 8
FITTED, FITTED_PER_SECOND = 10, 1000  # seconds, and images, that its classifiers and figures take
SIDE = 128  # px, of pictures in figures
NEEDED = sorted({*audit.NEEDED, *summary.NEEDED, "generator"})  # of the manifest's columns


def main() -> None:
    settings = Settings.load()
    data = settings.data
    manifest = pd.read_parquet(paths.MANIFEST, columns=NEEDED)
    chosen = audit.sample(manifest, data.audit.images, data.audit.seed)
    what, classifiers = f"audit: {len(chosen):,} images", FITTED + len(chosen) / FITTED_PER_SECOND
    with estimating(what, len(chosen), afterwards=classifiers):
        found = audit.measure(chosen, paths.PACKED, workers=os.cpu_count() or 1)
        areas = audit.audit(found, seed=data.audit.seed, resamples=settings.score.resamples)
    warnings = audit.warnings(areas, harmonised=data.harmonise)
    judged = {"images": len(chosen), "limit": audit.LIMIT, "auc": areas, "warnings": warnings}
    write_json(paths.DATA, described(manifest, data) | {"audit": judged})
    for paragraph in warnings:  # here, before anything is trained, and in the report
        print(f"facetell: warning: {paragraph}", file=sys.stderr)
    draw_audit(data.name, found, areas)
    draw_samples(manifest, {split: Packed(path) for split, path in paths.PACKED.items()})


def described(manifest: pd.DataFrame, data: Data) -> dict[str, Any]:
    """What is in the data, beside what was set aside and what leaks."""
    return summary.summary(
        manifest,
        sets={name: one.model_dump() for name, one in data.sets.items()},
        harmonised=data.harmonise,
        aside=pd.read_csv(paths.SET_ASIDE),
        leaks=pd.read_csv(paths.LEAKS),
    )


def draw_audit(name: str, found: audit.Measured, areas: dict[str, dict[str, float]]) -> None:
    """What the audit found, and the spectra of both classes."""
    if areas:
        title = (
            f"How well shortcuts predict the label: {legible(name)} ({len(found.table):,} images)"
        )
        save(draw.shortcuts(areas, audit.LIMIT, title), paths.DATA_FIGURES / "shortcuts.png")
    rings = {
        cls: found.features[(found.table["label"] == label).to_numpy(), :RADII]
        for label, cls in enumerate(CLASSES)
    }
    if all(len(values) for values in rings.values()):  # a small sample may lack a class
        figure = draw.spectrum(rings, found.cosines, f"Spectrum of luma: {legible(name)}")
        save(figure, paths.DATA_FIGURES / "spectrum.png")


def draw_samples(manifest: pd.DataFrame, opened: dict[str, Packed]) -> None:
    """Images of each set that is used, as they are and through each augmentation."""
    for key, mine in manifest[manifest["split"].isin(SPLITS)].groupby("set"):
        samples = dict(groups(mine, opened))
        title = f"{legible(key)}: first images of each group"
        save(draw.gallery(samples, title), paths.DATA_FIGURES / f"gallery_{key}.png")
        faces = [image for group in samples.values() for image in group.get("train", [])[:2]]
        if faces:
            rows = through(faces[:PER_AUGMENTATION])
            figure = draw.augmented(rows, f"{legible(key)}: augmentations")
            save(figure, paths.DATA_FIGURES / f"augmentations_{key}.png")


def groups(
    manifest: pd.DataFrame, opened: dict[str, Packed]
) -> Iterator[tuple[str, dict[str, list[np.ndarray]]]]:
    """Pictures by class and generator and, within, by split: the first ones, not picked."""
    sizes = manifest.groupby(["label", "generator"])["id"].transform("size")
    order = manifest.assign(size=-sizes).sort_values(["label", "size"], kind="stable")
    for (label, generator), group in order.groupby(["label", "generator"], sort=False):
        named = f"{CLASSES[int(label)]}\n{generator}".strip().replace("_", " ")
        by_split = {}
        for split in SPLITS:
            ids = set(group.loc[group["split"] == split, "id"].iloc[:PER_SPLIT])
            places = [at for at, one in enumerate(opened[split].ids) if one in ids]
            by_split[split] = [picture(opened[split].image(at)) for at in places]
        yield named, by_split


def picture(data: bytes) -> np.ndarray:
    """Pixels as a detector would see them, uint8 (S, S, 3)."""
    pixels = decode_inspected(data)
    return fit(pixels, min(SIDE, *pixels.shape[:2])).permute(1, 2, 0).numpy()


def through(faces: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The same pictures as they are and through each augmentation of training."""
    rows = {"as they are": faces}
    for name in AUGMENTATIONS:
        rows[name] = []
        for place, face in enumerate(faces):
            augment = augmentation(name, face.shape[0])
            assert augment is not None
            torch.manual_seed(seed_of("figure", name, place))
            image = torch.from_numpy(face).permute(2, 0, 1)
            rows[name].append(augment(image).permute(1, 2, 0).numpy())
    return rows


if __name__ == "__main__":
    run(main)
