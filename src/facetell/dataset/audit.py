# SPDX-License-Identifier: Apache-2.0
"""How well shortcuts tell the label: what a detector may learn instead of what makes a face fake.

A shortcut is a property of the file or of the whole picture, such as its size or JPEG quality. Each
group of shortcuts is given to a small gradient boosting machine, cross-validated by person, and so
are all of them combined; the spectrum goes to a linear classifier. An area under the ROC curve well
above 0.5 means that the classes differ in something that has nothing to do with faces.
"""

from collections.abc import Callable, Mapping
from functools import partial
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

from facetell.common import distributed
from facetell.common.labels import CLASSES, SPLITS
from facetell.common.parallel import ALONE, CHUNK, in_processes, opened
from facetell.common.progress import progress, worked
from facetell.dataset.sources.folder import open_files
from facetell.images import spectra
from facetell.images.decoding import decode_inspected
from facetell.images.packed import Packed
from facetell.images.pixel_statistics import MEASURED, middle, pixel_statistics
from facetell.images.reencoding import Treatment, treatment
from facetell.metrics.evaluate import evaluate
from facetell.metrics.intervals import Resamples

LIMIT = 0.6  # AUC beyond which a reader is warned
FINE = 64  # bands of the DCT per axis, for the figure
ADVICE = (
    "To see how the detectors do with images that were all re-encoded in one way, run again with "
    "`-S data.harmonise=true`."
)
FITTED, FITTED_PER_SECOND = 10, 1000  # seconds, and images, that classifiers and figures take
FOLDS = 5
FEWEST = 20  # images of a class below which nothing is audited
TABLES = 30  # most frequent quantisation tables that are told apart
GROUPS = {  # of shortcuts, by name: columns of the manifest or of ``MEASURED``
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
WORDS = {  # what each is called in figures, warnings and the report
    "file_size": "file size",
    "width_and_height": "width and height",
    "format_and_mode": "format and colour mode",
    "jpeg_quality": "JPEG quality",
    "quantisation_table": "JPEG quantisation table",
    "chroma_subsampling": "chroma subsampling",
    "exif": "presence of EXIF data",
    "sharpness": "sharpness",
    "noise": "noise level",
    "mean_colour": "mean colour",
    ALL: "all of these combined",
    SPECTRAL: "spectrum (linear classifier)",
}
CATEGORIES = ("format", "mode", "quant_table", "subsampling")
NEEDED = (  # of the manifest's columns
    *("id", "split", "label", "person", "bytes", "width", "height"),
    *("format", "mode", "jpeg_quality", "quant_table", "subsampling", "exif"),
)
TREATED = ("id", "set", "path", "platform", "laundered")  # tell how an image is read


class Measured(NamedTuple):
    """Rows of the manifest with ``MEASURED`` beside; spectral features float32 (N, F), where all
    images are of one kind; and per class the mean of the fine DCT bands (FINE, FINE)."""

    table: pd.DataFrame
    features: np.ndarray
    cosines: dict[str, np.ndarray]


def sample(manifest: pd.DataFrame, images: int | None, seed: int) -> pd.DataFrame:
    """At most ``images`` rows that are used, drawn with ``seed``, in the order of their ids."""
    used = manifest.loc[manifest["split"].isin(SPLITS), "id"].sort_values().index
    if images is not None and images < len(used):
        places = np.random.default_rng(seed).choice(len(used), size=images, replace=False)
        used = used[np.sort(places)]
    return manifest.loc[used]


def measure(
    table: pd.DataFrame,
    packed: Mapping[str, Path],
    *,
    workers: int = 1,
    world: distributed.World = distributed.ALONE,
) -> Measured:
    """Look at the pixels of every row, as they are packed.

    Parameters
    ----------
    table : the columns ``NEEDED``.
    packed : the packed files by split.
    workers : processes beside this one.
    world : processes that share the images, each with its own workers; each gets all results.
    """
    places = np.zeros(len(table), dtype=int)
    for split, path in packed.items():
        mine = (table["split"] == split).to_numpy()
        places[mine] = Packed(path).places(table.loc[mine, "id"])
    keys = list(zip(table["split"], places.tolist(), strict=True))
    return _measured(table, keys, partial(_packed, dict(packed)), workers, world)


def measure_files(
    table: pd.DataFrame,
    files: Mapping[str, Path],
    harmonise: Treatment | None = None,
    *,
    workers: int = 1,
) -> Measured:
    """The same before anything is packed.

    Parameters
    ----------
    table : the columns ``NEEDED`` and ``TREATED``.
    files : by the set's name its zip, folder of zips, or folder of images.
    harmonise : what was done to all images when the manifest was made.
    """
    keys = table[list(TREATED)].to_dict("records")
    read = partial(_treated, dict(files), harmonise or Treatment())
    return _measured(table, keys, read, workers, distributed.ALONE)


def treated(row: Mapping[str, Any], files: Mapping[str, Path], everyone: Treatment) -> bytes:
    """The image of a manifest's row (columns ``TREATED``), as it would be packed."""
    data = opened(open_files, files[row["set"]]).read(row["path"])
    return treatment(row, everyone)(data, row["id"])


def _packed(packed: dict[str, Path], key: tuple[str, int]) -> bytes:
    split, place = key
    return opened(Packed, packed[split]).image(place)


def _treated(files: dict[str, Path], everyone: Treatment, row: dict[str, Any]) -> bytes:
    return treated(row, files, everyone)


def _measured(
    table: pd.DataFrame,
    keys: list[Any],
    read: Callable[[Any], bytes],
    workers: int,
    world: distributed.World,
) -> Measured:
    """``read`` gives the bytes of the image of one of ``keys``, of which each row has one."""
    rows = list(zip(keys, table["label"], strict=True))
    chunks = [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]
    workers = 1 if len(rows) < ALONE else workers
    mine, found = chunks[world.rank :: world.size], []
    results = in_processes(_measure, mine, read, workers=workers)
    for result in progress(results, "audit", len(mine)):
        worked(len(result[0]) * world.size)
        found.append(result)
    values, features = [], []
    sums = {name: np.zeros((FINE, FINE)) for name in CLASSES}
    counts = dict.fromkeys(CLASSES, 0)
    for one, other, fine, seen in world.interleaved(found):
        values.append(one)
        features.append(other)
        for name in CLASSES:
            sums[name] += fine[name]
            counts[name] += seen[name]
    measured = pd.DataFrame(np.concatenate(values), columns=list(MEASURED), index=table.index)
    means = {name: sums[name] / max(1, counts[name]) for name in CLASSES}
    return Measured(table.join(measured), np.concatenate(features), means)


def rings(found: Measured) -> dict[str, np.ndarray]:
    """The azimuthal spectra of each class, natural log of power, (N, RADII)."""
    labels = found.table["label"].to_numpy()
    return {name: found.features[labels == at, : spectra.RADII] for at, name in enumerate(CLASSES)}


def seconds_of_fitting(images: int) -> float:
    """What the classifiers and the figures of so many images take, about."""
    return FITTED + images / FITTED_PER_SECOND


def audit(found: Measured, *, seed: int = 0, resamples: int = 1000) -> dict[str, dict[str, float]]:
    """AUC of the label (1 = fake) with its 95% interval, by group of shortcuts.

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


def warnings(
    areas: Mapping[str, Mapping[str, float]], *, harmonised: bool = False, advice: str = ADVICE
) -> list[str]:
    """What a reader must know before believing a detector: a short paragraph for each.

    ``areas`` are of ``audit``; ``harmonised`` says whether the images were re-encoded in one way
    already, so that it makes no sense to give the ``advice``, a sentence.

    Examples
    --------
    >>> warnings({ALL: {"auc": 0.55, "low": 0.5, "high": 0.6}})
    []
    >>> warnings({})
    ['The audit was skipped: it needs images of at least 20 persons in each class.']
    """
    if not areas:
        return [
            f"The audit was skipped: it needs images of at least {FEWEST} persons in each class."
        ]
    said = [
        f"{_capital(WORDS[name])} alone separates fake from real images with an AUC of "
        f"{_bounded(found)}. A detector may learn this instead of the faces."
        for name, found in areas.items()
        if name not in (ALL, SPECTRAL) and found["auc"] > LIMIT
    ]
    if areas[ALL]["auc"] > LIMIT:
        said.append(
            f"All shortcuts combined reach an AUC of {_bounded(areas[ALL])}"
            + (
                ", although all images were re-encoded in one way (`data.harmonise`)."
                if harmonised
                else f". {advice}"
            )
        )
    return said


def _bounded(found: Mapping[str, float]) -> str:
    return f"{found['auc']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _capital(words: str) -> str:
    """With a capital first letter, the others as they are: JPEG stays JPEG."""
    return words[:1].upper() + words[1:]


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
    chunk: list[tuple[Any, int]], read: Callable[[Any], bytes]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], dict[str, int]]:
    """``MEASURED`` (n, 5), spectral features (n, F), sums of fine DCT bands and counts by class."""
    torch.set_num_threads(1)
    values, features = [], []
    fine = {name: np.zeros((FINE, FINE)) for name in CLASSES}
    seen = dict.fromkeys(CLASSES, 0)
    for key, label in chunk:
        image = middle(decode_inspected(read(key)))
        values.append(pixel_statistics(image))
        batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
        logs = spectra.cosine(batch)
        rings = spectra.azimuthal(spectra.power(batch))
        features.append(torch.cat([rings, spectra.bands(logs).flatten(1)], dim=1)[0].numpy())
        fine[CLASSES[label]] += spectra.bands(logs, FINE)[0].double().numpy()
        seen[CLASSES[label]] += 1
    return np.array(values), np.array(features, dtype=np.float32), fine, seen
