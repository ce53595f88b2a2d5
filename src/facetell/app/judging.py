# SPDX-License-Identifier: Apache-2.0
"""Many photos judged by several detectors: decoded ahead, in batches, one bad photo stops none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from facetell.app.inputs import Source
from facetell.app.prediction import Prediction, predicted
from facetell.common.errors import UserError
from facetell.common.machine import device
from facetell.images.alignment import Point
from facetell.images.faces import aligned_faces, caution
from facetell.images.photos import Photo, decoded, read_photo
from facetell.models.detector import Detector

BATCH = 32
FINDING = Lock()  # the face detector serves one thread at a time
AHEAD = 2  # batches that are decoded, or being decoded, before they are judged


@dataclass(frozen=True)
class Judged:
    """Of a photo, or of one face in it, the prediction of each detector by its name.

    ``face`` counts the faces of a photo, the largest first; None: the photo was taken as it is.
    ``corners`` are those of the face's square in the photo. With an ``error``, which says why there
    is no prediction, there is nothing else.
    """

    name: str
    predictions: dict[str, Prediction]
    face: int | None = None
    corners: tuple[Point, ...] = ()
    error: str = ""


class _Seen(NamedTuple):
    """What a detector gets of a photo: all of it, or one face."""

    photo: Photo
    corners: tuple[Point, ...] = ()


# of a photo, by how faces lie in the training images; or why there is nothing
_Read = dict[str | None, list[_Seen]] | UserError


def judged(
    weights: Sequence[Path], photos: Sequence[tuple[str, Source]], *, crop: bool = False
) -> Iterator[Judged]:
    """Judge photos in their order; those that cannot be used have an ``error``.

    Parameters
    ----------
    weights : of the detectors.
    photos : pairs of a name and a path or the bytes of a file. Those of a few batches are in
        memory at any time.
    crop : find the faces, and cut each out as the detector's training images were.
    """
    detectors = {path.stem: Detector.load(path).to(device()) for path in weights}
    frames = {name: detector.card.frame for name, detector in detectors.items()}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for batch in _ahead(pool, photos, partial(_read, frames={*frames.values()}, crop=crop)):
            by_model = {
                name: iter(_predicted(detector, [read for _, read in batch], crop=crop))
                for name, detector in detectors.items()
            }
            for name, read in batch:
                if isinstance(read, UserError):
                    yield Judged(name, {}, error=str(read))
                    continue
                faces = next(iter(read.values()))
                for at, seen in enumerate(faces):
                    said = {model: next(found) for model, found in by_model.items()}
                    yield Judged(name, said, at if crop else None, seen.corners)


def _predicted(detector: Detector, read: Sequence[_Read], *, crop: bool) -> Iterator[Prediction]:
    """Of every photo, or face, that the detector gets, in a batch of any number."""
    frame = detector.card.frame
    seen = [one.photo for faces in read if isinstance(faces, dict) for one in faces[frame]]
    cautions = [words] if crop and (words := caution(frame)) else []
    for start in range(0, len(seen), BATCH):
        for found in predicted(detector, seen[start : start + BATCH]):
            yield replace(found, unlike=(*cautions, *found.unlike))


def _ahead(
    pool: ThreadPoolExecutor,
    photos: Sequence[tuple[str, Source]],
    read: Callable[[str, Source], _Read],
) -> Iterator[list[tuple[str, _Read]]]:
    """Batches of names with what was read, some batches ahead."""
    waiting: list[list[tuple[str, Future[_Read]]]] = []
    rest = iter(photos)
    while True:
        while len(waiting) <= AHEAD and (batch := list(islice(rest, BATCH))):
            waiting.append([(name, pool.submit(read, name, source)) for name, source in batch])
        if not waiting:
            return
        yield [(name, job.result()) for name, job in waiting.pop(0)]


def _read(name: str, source: Source, *, frames: Iterable[str | None], crop: bool) -> _Read:
    try:
        photo = read_photo(source) if isinstance(source, Path) else decoded(source, name)
        if not crop:
            return {frame: [_Seen(photo)] for frame in frames}
        with FINDING:
            return {frame: _faces(photo, frame) for frame in frames}
    except UserError as error:
        return error


def _faces(photo: Photo, frame: str | None) -> list[_Seen]:
    found = aligned_faces(photo.pixels, frame, name=photo.name)
    return [_Seen(Photo(photo.name, one.pixels), one.square.corners()) for one in found]
