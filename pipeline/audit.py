"""audit: what trivia alone tell of the label, and figures of what is in the sets."""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from facetell.common.figure_style import save
from facetell.common.files import write_json
from facetell.common.labels import CLASSES, SPLITS
from facetell.common.seeding import seed_of
from facetell.dataset.audit import LIMIT, NEEDED, audit, counts, measure, sample, warnings
from facetell.images.decoding import decode
from facetell.images.loading import fit
from facetell.images.packed import Packed
from facetell.images.spectra import RADII
from facetell.report.figures import data as draw
from facetell.training.augmentations import AUGMENTATIONS, augmentation
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run

PER_SPLIT = 4  # images of a group in the gallery
PER_AUGMENTATION = 8
SIDE = 128  # px, of pictures in figures


def main() -> None:
    data = Settings.load().data
    name, settings = data.name, data.audit
    manifest = pd.read_parquet(paths.MANIFEST, columns=list(NEEDED))
    chosen = sample(manifest, settings.images, settings.seed)
    found = measure(chosen, paths.PACKED, workers=os.cpu_count() or 1)
    areas = audit(found, seed=settings.seed)
    write_json(paths.DATA, summary(manifest, areas, len(chosen)))
    for sentence in warnings(areas):  # here, before anything is trained, and in the report
        print(f"facetell: warning: {sentence}", file=sys.stderr)
    paths.DATA_FIGURES.mkdir(parents=True, exist_ok=True)
    if areas:
        title = f"What trivia give away on {name} ({len(chosen):,} images)"
        save(draw.shortcuts(areas, LIMIT, title), paths.DATA_FIGURES / "shortcuts.png")
    rings = {
        cls: found.features[(found.table["label"] == label).to_numpy(), :RADII]
        for label, cls in enumerate(CLASSES)
    }
    save(
        draw.spectrum(rings, found.cosines, f"Spectrum of luma: {name}"),
        paths.DATA_FIGURES / "spectrum.png",
    )
    opened = {split: Packed(path) for split, path in paths.PACKED.items()}
    for key, mine in manifest.groupby("set"):
        samples = dict(groups(mine, opened))
        save(
            draw.gallery(samples, f"{key}: first images of each group"),
            paths.DATA_FIGURES / f"gallery_{key}.png",
        )
        faces = [image for group in samples.values() for image in group.get("train", [])[:2]]
        if faces:
            save(
                draw.augmented(through(faces[:PER_AUGMENTATION]), f"{key}: augmentations"),
                paths.DATA_FIGURES / f"augmentations_{key}.png",
            )


def summary(
    manifest: pd.DataFrame, areas: dict[str, dict[str, float]], audited: int
) -> dict[str, object]:
    """What is in the splits, what was set aside or leaks, and what trivia tell."""
    aside, leaks = (pd.read_csv(path) for path in (paths.SET_ASIDE, paths.LEAKS))
    used = manifest[manifest["split"].isin(SPLITS)]
    return {
        "counts": counts(manifest),
        "images": len(used),
        "unused": len(manifest) - len(used),
        "persons": int(used["person"].nunique()),
        "sets": tally(used["set"]),
        "platforms": tally(used["platform"]),
        "set_aside": {"count": len(aside), "reasons": tally(aside["reason"].str.split(":").str[0])},
        "pairs_across_splits": tally(leaks["kind"]),
        "audit": {"images": audited, "auc": areas, "warnings": warnings(areas)},
    }


def tally(column: "pd.Series[str]") -> dict[str, int]:
    """How often each value occurs, by name."""
    return {str(value): int(number) for value, number in column.value_counts().sort_index().items()}


def groups(
    manifest: pd.DataFrame, opened: dict[str, Packed]
) -> Iterator[tuple[str, dict[str, list[np.ndarray]]]]:
    """Pictures by class and generator and, within, by split: the first ones, not picked."""
    used = manifest[manifest["split"].isin(SPLITS)]
    sizes = used.groupby(["label", "generator"])["id"].transform("size")
    order = used.assign(size=-sizes).sort_values(["label", "size"], kind="stable")
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
    pixels = decode(data)
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
