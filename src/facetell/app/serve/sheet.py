# SPDX-License-Identifier: Apache-2.0
"""The sheet to take away: a photo as it is and as it was changed, by all chosen models."""

import io
from typing import Any

import numpy as np

from facetell.app.serve.answers import NOTE
from facetell.app.serve.asked import Changes, ForSheet
from facetell.app.serve.crops import Crop, crops
from facetell.app.serve.judging import look, opened, see
from facetell.app.serve.models import Models
from facetell.app.serve.refusals import Code, Refused
from facetell.app.serve.worker import Job
from facetell.common.figure_style import METADATA, plt
from facetell.explain import METHODS
from facetell.explain.survey.examples import Example
from facetell.report.figures.by_model import models_side_by_side

UNITS = {"crop": " px of 224", "brightness": "×", "blur": " px", "jpeg": ""}


def sheet(models: Models, data: bytes, asked: ForSheet, pixels: int, job: Job[Any]) -> bytes:
    """A PNG.

    Raises
    ------
    Refused : as for maps, and where there is no face of that number.
    """
    found = crops(opened(data, pixels), find=asked.find_faces)
    if asked.face >= len(found):
        raise Refused(Code.NO_FACE, f"The photo has {len(found)} faces, counted from 0.")
    states = {"as it is": Changes()}
    if asked.levels:
        states[in_words(asked)] = asked
    drawn = {
        state: {
            name: example(models, name, found[asked.face], changes, asked, job)
            for name in models.check(asked.models)
        }
        for state, changes in states.items()
    }
    job.step()
    title = f"{METHODS[asked.method].title}: where each model looked"
    figure = models_side_by_side(drawn, asked.method, title, NOTE)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata=METADATA[".png"])
    plt.close(figure)
    return buffer.getvalue()


def in_words(changes: Changes) -> str:
    """What was done to a photo, such as "blur 2 px, jpeg 40".

    >>> in_words(Changes(jpeg=40, blur=2))
    'blur 2 px, JPEG 40'
    """
    names = {"jpeg": "JPEG"}
    levels = changes.levels.items()
    return ", ".join(f"{names.get(name, name)} {level:g}{UNITS[name]}" for name, level in levels)


def example(
    models: Models, name: str, crop: Crop, changes: Changes, asked: ForSheet, job: Job[Any]
) -> Example:
    """What one model makes of the crop."""
    job.step()
    detector = models.get(name)
    seen = see(detector, crop, changes)
    found = look(detector, seen, asked)
    layer = found.layer or ""
    status = found.status if found.layer else "not defined here"
    maps = {} if found.values is None else {layer: found.values}
    return Example(
        name=name,
        image=seen.pixels,
        label=None,
        margin=found.margin,
        threshold=detector.card.threshold,
        saliency=np.zeros((0, 0)),
        maps={asked.method: maps},
        status={asked.method: {layer: status}},
    )
