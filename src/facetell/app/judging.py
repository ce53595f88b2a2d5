# SPDX-License-Identifier: Apache-2.0
"""Many photos judged by several detectors: decoded ahead, in batches, one bad photo stops none."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from facetell.app.inputs import Source
from facetell.app.prediction import Prediction, predicted
from facetell.common.errors import UserError
from facetell.common.machine import device
from facetell.images.photos import Photo, decoded, read_photo
from facetell.models.detector import Detector

BATCH = 32
AHEAD = 2  # batches that are decoded, or being decoded, before they are judged


@dataclass(frozen=True)
class Judged:
    """Of one photo the prediction of each detector by its name; or why there is none."""

    name: str
    predictions: dict[str, Prediction]
    error: str = ""


def judged(weights: Sequence[Path], photos: Sequence[tuple[str, Source]]) -> Iterator[Judged]:
    """Judge photos in their order; those that cannot be used have an ``error``.

    ``photos`` are pairs of a name and a path or the bytes of a file. The images of a few batches
    are in memory at any time.
    """
    detectors = {path.stem: Detector.load(path).to(device()) for path in weights}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for batch in _decoded(pool, photos):
            usable = [photo for _, photo in batch if isinstance(photo, Photo)]
            by_model = {
                name: iter(predicted(detector, usable)) for name, detector in detectors.items()
            }
            for name, photo in batch:
                if isinstance(photo, Photo):
                    yield Judged(name, {model: next(said) for model, said in by_model.items()})
                else:
                    yield Judged(name, {}, str(photo))


def _decoded(
    pool: ThreadPoolExecutor, photos: Sequence[tuple[str, Source]]
) -> Iterator[list[tuple[str, Photo | UserError]]]:
    """Batches of names with their photos, or with why they are none, decoded ahead."""
    waiting: list[list[tuple[str, Future[Photo | UserError]]]] = []
    rest = iter(photos)
    while True:
        while len(waiting) <= AHEAD and (batch := list(islice(rest, BATCH))):
            waiting.append([(name, pool.submit(_read, name, source)) for name, source in batch])
        if not waiting:
            return
        yield [(name, job.result()) for name, job in waiting.pop(0)]


def _read(name: str, source: Source) -> Photo | UserError:
    try:
        return read_photo(source) if isinstance(source, Path) else decoded(source, name)
    except UserError as error:
        return error
