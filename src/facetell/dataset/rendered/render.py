# SPDX-License-Identifier: Apache-2.0
"""Renders one row of the demo plan to a JPEG, its artefact mask and its artefact-free twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .artefacts import Stage, plant
from .camera import develop, lens, sample_camera, sensor
from .face import Scene, draw_scene
from .person import Person, sample_person, sample_view
from .plan import SMALLEST_SIDE, Spec

# One stream of random numbers for each purpose: what one step draws never moves another step,
# which is what makes a twin equal to its fake outside of the artefacts.
_PERSON_STREAM, _VIEW_STREAM, _CAMERA_STREAM, _NOISE_STREAM, _PLANT_STREAM = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Rendered:
    """One rendered image.

    `jpeg` is the file; `mask` (H x W, uint8) codes `KINDS[i]` as bit i; `twin` is the file without
    artefacts where the plan wants one, else None. `before` and `after` (H x W x 3, uint8) are the
    picture ahead of the JPEG without and with its artefacts; `decoy` (H x W, bool) is the decoy's
    place and `subsampling` that of the camera's JPEG.
    """

    jpeg: bytes
    mask: np.ndarray
    twin: bytes | None
    before: np.ndarray
    after: np.ndarray
    decoy: np.ndarray
    subsampling: str


def person_of(number: int, *, seed: int) -> Person:
    """Return the fictitious person with this number in the set of this seed."""
    return sample_person(np.random.default_rng([seed, _PERSON_STREAM, number]))


def scene_of(spec: Spec, *, seed: int, size: int) -> Scene:
    """Return the drawn face of a row before the camera."""
    person = person_of(spec.person, seed=seed)
    rng = np.random.default_rng([seed, _VIEW_STREAM, spec.scene])
    view = sample_view(person, rng)
    return draw_scene(person, view, size=size, decoy=spec.decoy, rng=rng)


def render(spec: Spec, *, seed: int, size: int) -> Rendered:
    """Render one row of a plan of this seed at `size` x `size` pixels (at least 32).

    The same row, seed and size give the same bytes. A smaller size raises ValueError.

    >>> from facetell.dataset.rendered import RenderedSet, plan
    >>> rows = plan(RenderedSet(seed=0, train=4, valid=0, test=0, singles_per_kind=0))
    >>> render(rows[0], seed=0, size=64).after.shape
    (64, 64, 3)
    """
    return render_scene([spec], seed=seed, size=size)[0]


def render_scene(specs: Sequence[Spec], *, seed: int, size: int) -> list[Rendered]:
    """Render rows of one scene, which is drawn once; each is as `render` gives it."""
    if size < SMALLEST_SIDE:
        raise ValueError(f"size must be at least {SMALLEST_SIDE}, got {size!r}")
    scene = scene_of(specs[0], seed=seed, size=size)
    clean = scene.compose()
    stages = {spec.shot: _shot(spec, scene, clean, seed) for spec in specs}
    return [_finished(spec, stages[spec.shot], seed) for spec in specs]


def _shot(spec: Spec, scene: Scene, clean: np.ndarray, seed: int) -> Stage:
    """The scene as a camera takes it, ready for artefacts."""
    size = len(clean)
    camera = sample_camera(
        np.random.default_rng([seed, _CAMERA_STREAM, spec.shot]), size, spec.platform
    )
    noise = np.random.default_rng([seed, _NOISE_STREAM, spec.shot])
    picture = sensor(lens(clean, camera.blur), camera, noise)
    return Stage(picture, clean, scene, camera, np.zeros((size, size), dtype=bool))


def _finished(spec: Spec, stage: Stage, seed: int) -> Rendered:
    """The scene with the artefacts of one row, and its files."""
    before, camera = stage.picture, stage.camera
    after, mask = before, np.zeros(before.shape[:2], dtype=np.uint8)
    if spec.artefacts:
        planting = np.random.default_rng([seed, _PLANT_STREAM, spec.shot])
        after, mask = plant(spec.artefacts, replace(stage), planting)  # which is changed by it
    return Rendered(
        jpeg=develop(after, camera),
        mask=mask,
        twin=develop(before, camera) if spec.has_twin else None,
        before=before,
        after=after,
        decoy=stage.scene.decoy,
        subsampling=camera.subsampling,
    )
