"""How well trivia tell the label: what a detector may learn instead of fakes.

Each group of trivia is given to a small gradient boosting machine, cross-validated by person, and
so are all together; the spectrum goes to a linear classifier. An area under the ROC curve well
above 0.5 means that the classes differ in something that has nothing to do with faces.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facetell.common.labels import CLASSES, SPLITS
from facetell.common.parallel import ALONE, CHUNK, in_processes, opened
from facetell.common.progress import progress
from facetell.images import spectra
from facetell.images.decoding import decode
from facetell.images.packed import Packed
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples

LIMIT = 0.6  # AUC beyond which a reader is warned
SIDE = 256  # px: of larger images only the middle is measured, at its own resolution
FINE = 64  # bands of the DCT per axis, for the figure
FOLDS = 5
FEWEST = 20  # images of a class below which nothing is audited
TABLES = 30  # most frequent quantisation tables that are told apart
GROUPS = {  # name: columns of the manifest or of ``MEASURED``
    "file_size": ("bytes",),
    "width_and_height": ("width", "height"),
    "format_and_mode": ("format", "mode"),
    "jpeg_quality": ("jpeg_quality",),
    "quantisation_table": ("quant_table",),
    "chroma_subsampling": ("subsampling",),
    "exif": ("exif",),
    "sharpness": ("sharpness",),
    "noise": ("noise",),
    "mean_colour": ("red", "green", "blue"),
}
ALL, SPECTRAL = "all_together", "spectral_linear"
CATEGORIES = ("format", "mode", "quant_table", "subsampling")
NEEDED = (  # of the manifest's columns
    *("id", "set", "split", "label", "person", "generator", "platform", "bytes", "width"),
    *("height", "format", "mode", "jpeg_quality", "quant_table", "subsampling", "exif"),
)
MEASURED = ("sharpness", "noise", "red", "green", "blue")


class Measured(NamedTuple):
    """Rows of the manifest with ``MEASURED`` beside; spectral features float32 (N, F), where all
    images are of one kind; and per class the mean of the fine DCT bands (FINE, FINE)."""

    table: pd.DataFrame
    features: np.ndarray
    cosines: dict[str, np.ndarray]


def counts(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images by split and class."""
    sizes = manifest.groupby(["split", "label"]).size()
    return {
        split: {name: int(sizes.get((split, label), 0)) for label, name in enumerate(CLASSES)}
        for split in SPLITS
    }


def sample(manifest: pd.DataFrame, images: int | None, seed: int) -> pd.DataFrame:
    """At most ``images`` rows that are used, drawn with ``seed``, in the manifest's order."""
    used = manifest[manifest["split"].isin(SPLITS)]
    if images is None or images >= len(used):
        return used
    places = np.random.default_rng(seed).choice(len(used), size=images, replace=False)
    return used.iloc[np.sort(places)]


def measure(table: pd.DataFrame, packed: Mapping[str, Path], *, workers: int = 1) -> Measured:
    """Look at the pixels of every row; ``packed`` are the packed files by split."""
    wanted = set(table["id"])
    where = {
        name: (split, place)
        for split, path in packed.items()
        for place, name in enumerate(Packed(path).ids)
        if name in wanted
    }
    rows = [(*where[name], label) for name, label in zip(table["id"], table["label"], strict=True)]
    chunks = [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]
    workers = 1 if len(rows) < ALONE else workers
    results = in_processes(_measure, chunks, dict(packed), workers=workers)
    values, features = [], []
    sums = {name: np.zeros((FINE, FINE)) for name in CLASSES}
    counts = dict.fromkeys(CLASSES, 0)
    for one, other, fine, seen in progress(results, "audit", len(chunks)):
        values.append(one)
        features.append(other)
        for name in CLASSES:
            sums[name] += fine[name]
            counts[name] += seen[name]
    measured = pd.DataFrame(np.concatenate(values), columns=list(MEASURED), index=table.index)
    means = {name: sums[name] / max(1, counts[name]) for name in CLASSES}
    return Measured(table.join(measured), np.concatenate(features), means)


def audit(found: Measured, *, seed: int = 0, resamples: int = 1000) -> dict[str, dict[str, float]]:
    """AUC of the label (1 = fake) with its 95% interval, by group of trivia.

    Out-of-fold scores of five folds that divide no person; intervals resampled by person. Where
    nothing varies, the AUC is 0.5 and the interval empty.

    Returns
    -------
    ``{group: {auc, low, high}}`` for ``GROUPS``, ``ALL`` and ``SPECTRAL``; empty where a class has
    fewer than ``FEWEST`` images or persons.
    """
    table = found.table
    persons = table.groupby("label")["person"].nunique()
    if len(persons) < 2 or persons.min() < FEWEST:
        return {}
    columns = _numbers(table)
    inputs = {name: columns[list(group)] for name, group in GROUPS.items()}
    inputs[ALL] = columns
    labels = table["label"].to_numpy()
    split = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    folds = list(split.split(labels, labels, table["person"].to_numpy()))
    trees = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, early_stopping=False, random_state=seed
    )
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
    scores = {name: _scores(values, labels, trees, folds) for name, values in inputs.items()}
    scores[SPECTRAL] = _scores(pd.DataFrame(found.features), labels, linear, folds)
    draws = Resamples(table["person"], resamples=resamples, seed=seed)
    areas = {}
    for name, score in scores.items():
        judged = evaluate(labels, score, 0.0, draws)
        low, high = judged.intervals["auc"]
        areas[name] = {"auc": judged.values["auc"], "low": low, "high": high}
    return areas


def warnings(areas: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What a reader must know before believing a detector, one sentence for each."""
    if not areas:
        return [f"Too few images for an audit: each class needs at least {FEWEST} persons."]
    said = [
        f"{name.replace('_', ' ').capitalize()} alone tells fake from real with AUC "
        f"{found['auc']:.2f} [{found['low']:.2f}, {found['high']:.2f}]: a detector may learn this "
        "instead of faces."
        for name, found in areas.items()
        if name not in (ALL, SPECTRAL) and found["auc"] > LIMIT
    ]
    if areas[ALL]["auc"] > LIMIT:
        said.append(
            f"All trivia together reach AUC {areas[ALL]['auc']:.2f}; see what is left of the "
            "detectors with -S data.harmonise=true."
        )
    return said


def _scores(values: pd.DataFrame, labels: np.ndarray, model: Any, folds: list[Any]) -> np.ndarray:
    """Out-of-fold decision values; zeros where nothing varies."""
    if (values.nunique(dropna=False) < 2).all():
        return np.zeros(len(labels))
    return cross_val_predict(model, values.to_numpy(), labels, cv=folds, method="decision_function")


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of all groups as numbers; names become codes, rare ones a common one."""
    found = {}
    for column in (column for group in GROUPS.values() for column in group):
        values = table[column]
        if column in CATEGORIES:
            kept = values.value_counts().index[:TABLES]
            values = pd.Series(pd.Categorical(values, kept).codes, index=table.index)
        found[column] = pd.to_numeric(values).astype(float)
    return pd.DataFrame(found)


def _measure(
    chunk: list[tuple[str, int, int]], packed: dict[str, Path]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, int]]:
    """Trivia (n, 5), spectral features (n, F), sums of fine DCT bands and counts by class."""
    torch.set_num_threads(1)
    values, features = [], []
    fine = {name: np.zeros((FINE, FINE)) for name in CLASSES}
    seen = dict.fromkeys(CLASSES, 0)
    for split, place, label in chunk:
        image = middle(decode(opened(Packed, packed[split]).image(place)))
        values.append(trivia(image))
        batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
        logs = spectra.cosine(batch)
        rings = spectra.azimuthal(spectra.power(batch))
        features.append(torch.cat([rings, spectra.bands(logs).flatten(1)], dim=1)[0].numpy())
        fine[CLASSES[label]] += spectra.bands(logs, FINE)[0].double().numpy()
        seen[CLASSES[label]] += 1
    return np.array(values), np.array(features, dtype=np.float32), fine, seen


def middle(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The middle square of (H, W, 3), at most ``side`` px, without resizing."""
    height, width = pixels.shape[:2]
    side = min(side, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def trivia(pixels: np.ndarray) -> tuple[float, ...]:
    """``MEASURED`` of uint8 (H, W, 3): log10 variance of the Laplacian of luma, log10 of the noise
    level (levels of 255; Immerkaer 1996), and mean red, green and blue (0 to 255)."""
    colour = pixels.reshape(-1, 3).mean(axis=0)
    y = pixels.astype(np.float32) @ np.array(spectra.LUMA, dtype=np.float32)
    cross = y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:]
    corners = y[:-2, :-2] + y[:-2, 2:] + y[2:, :-2] + y[2:, 2:]
    centre = y[1:-1, 1:-1]
    sharpness = float((cross - 4 * centre).var())
    noise = float(np.abs(corners - 2 * cross + 4 * centre).mean()) * np.sqrt(np.pi / 2) / 6
    return (float(np.log10(sharpness + 1e-3)), float(np.log10(noise + 1e-3)), *map(float, colour))
