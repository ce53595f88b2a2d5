# SPDX-License-Identifier: Apache-2.0
"""audit: how well shortcuts predict the label, what is in the sets, and figures of both."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from facetell.common.distributed import cores, current, launch
from facetell.common.figure_style import legible, save
from facetell.common.files import read_json, write_json
from facetell.common.labels import SPLITS
from facetell.common.progress import estimating
from facetell.common.seeding import seed_of
from facetell.dataset import audit, samples, summary
from facetell.dataset.stored import read_manifest, selected
from facetell.images.packed import Packed
from facetell.report.figures import data as draw
from facetell.training.augmentations import AUGMENTATIONS, augmentation
from pipeline import paths
from pipeline.settings import Data, Settings
from pipeline.stage import run

PER_AUGMENTATION = 8
SHOWN = ["id", "set", "split", "label", "generator"]  # columns that choose and read samples


def main() -> None:
    launch(look, Settings.load().processes)


def look() -> None:
    """What every process does; the first one judges and writes."""
    settings, world = Settings.load(), current()
    data = settings.data
    facts = first_look(data) if world.first else {}
    manifest = read_manifest(paths.MANIFEST, ["id", "split"], SPLITS)
    drawn = audit.sample(manifest, data.audit.images, data.audit.seed)["id"]
    del manifest  # before the rest, which needs memory of its own
    chosen = selected(paths.MANIFEST, audit.NEEDED, drawn)
    what, afterwards = f"audit: {len(chosen):,} images", audit.seconds_of_fitting(len(chosen))
    with estimating(what, len(chosen), afterwards=afterwards):
        found = audit.measure(chosen, paths.PACKED, workers=cores(), world=world)
        if not world.first:
            return
        areas = audit.audit(found, seed=data.audit.seed, resamples=settings.score.resamples)
    warnings = audit.warnings(areas, harmonised=data.harmonise)
    judged = {"images": len(chosen), "limit": audit.LIMIT, "auc": areas, "warnings": warnings}
    write_json(paths.DATA, facts | {"audit": judged})
    for paragraph in warnings:  # here, before anything is trained, and in the report
        print(f"facetell: warning: {paragraph}", file=sys.stderr)
    draw_audit(data.name, found, areas)


def first_look(data: Data) -> dict[str, Any]:
    """What is in the data; its first images are drawn."""
    manifest = read_manifest(paths.MANIFEST, sorted({*summary.NEEDED, *SHOWN}))
    draw_samples(manifest, {split: Packed(path) for split, path in paths.PACKED.items()})
    return described(manifest, data)


def described(manifest: pd.DataFrame, data: Data) -> dict[str, Any]:
    """What is in the data, beside what was set aside and what leaks."""
    return summary.summary(
        manifest,
        sets={name: one.model_dump() for name, one in data.sets.items()},
        harmonised=data.harmonise,
        aside=pd.read_csv(paths.SET_ASIDE),
        leaks=pd.read_csv(paths.LEAKS),
        files=read_json(paths.FILES),
    )


def draw_audit(name: str, found: audit.Measured, areas: dict[str, dict[str, float]]) -> None:
    """What the audit found, and the spectra of both classes."""
    if areas:
        title = (
            f"How well shortcuts predict the label: {legible(name)} ({len(found.table):,} images)"
        )
        save(draw.shortcuts(areas, audit.LIMIT, title), paths.DATA_FIGURES / "shortcuts.png")
    rings = audit.rings(found)
    if all(len(values) for values in rings.values()):  # a small sample may lack a class
        figure = draw.spectrum(rings, found.cosines, f"Spectrum of luma: {legible(name)}")
        save(figure, paths.DATA_FIGURES / "spectrum.png")


def draw_samples(manifest: pd.DataFrame, opened: dict[str, Packed]) -> None:
    """Images of each set that is used, as they are and through each augmentation."""
    read = reader(opened)
    for key, mine in manifest.loc[manifest["split"].isin(SPLITS), SHOWN].groupby("set"):
        shown = {
            f"{group.label}\n{legible(group.generator)}".strip().replace("_", " "): group.pictures
            for group in samples.groups(mine, read)
        }
        title = f"{legible(key)}: first images of each group"
        save(draw.gallery(shown, title), paths.DATA_FIGURES / f"gallery_{key}.png")
        faces = [image for group in shown.values() for image in group.get("train", [])[:2]]
        if faces:
            rows = through(faces[:PER_AUGMENTATION])
            figure = draw.augmented(rows, f"{legible(key)}: augmentations")
            save(figure, paths.DATA_FIGURES / f"augmentations_{key}.png")


def reader(opened: dict[str, Packed]) -> Callable[[Mapping[str, Any]], bytes]:
    """What gives the bytes of the image of a manifest's row."""

    def read(row: Mapping[str, Any]) -> bytes:
        packed = opened[row["split"]]
        return packed.image(int(packed.places([row["id"]])[0]))

    return read


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
