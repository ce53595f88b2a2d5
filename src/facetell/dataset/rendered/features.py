# SPDX-License-Identifier: Apache-2.0
"""Eyes, brows, nose, mouth and lines of age of the rendered demo faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageChops

from .canvas import Canvas, Colour, Frame, Layer, box_about, curve, mix, tone
from .person import Person, View

EYE_Y = 0.47
_T = np.linspace(-1, 1, 13)
_LID = np.array((0, 0.0075))  # the upper lid's shadow on the eye


def eye_middle(person: Person, side: int) -> tuple[float, float]:
    """Return the head coordinates of an eye; `side` is -1 (picture's left) or 1."""
    return side * person.eye_gap, EYE_Y


def _lids(person: Person, view: View, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper and the lower edge of an eye, both from left to right."""
    x, y = eye_middle(person, side)
    height = person.eye_height * view.eye_open * (1 - 0.12 * max(0.0, view.smile))
    xs = x + person.eye_width * _T
    lean = y - person.eye_tilt * _T * side
    arch = np.clip(1 - _T * _T, 0, 1)
    return (
        np.stack([xs, lean - height * arch**0.7], axis=1),
        np.stack([xs, lean + 0.72 * height * arch**0.8], axis=1),
    )


def draw_eye_ground(canvas: Canvas, person: Person, view: View, side: int) -> None:
    """Draw the white of an eye with its lids; the iris comes as a layer of its own."""
    upper, lower = _lids(person, view, side)
    crease = upper - np.array((0, 0.016 + 0.006 * person.age))
    canvas.stroke(crease[1:-1], tone(person.skin, 0.66), 0.006, 170)
    white = mix((238, 234, 230), tone(person.skin, 1.0), 0.1)
    canvas.poly(np.concatenate([upper, lower[::-1]]), white)
    canvas.poly(np.concatenate([upper, upper[::-1] + _LID]), (90, 80, 80), 90, cover=False)
    inner = lower[2] if side > 0 else lower[-3]
    canvas.oval((inner[0], inner[1]), (0.006, 0.004), (214, 140, 130), 160, cover=False)
    canvas.stroke(lower, tone(person.skin, 0.62), 0.004, 190)
    if person.age > 0.4:
        canvas.stroke(lower[2:-2] + np.array((0, 0.022)), tone(person.skin, 0.7), 0.005, 130)
    _draw_lashes(canvas, person, upper, side)


def _draw_lashes(canvas: Canvas, person: Person, upper: np.ndarray, side: int) -> None:
    dark = mix((26, 20, 20), tone(person.hair, 0.6), 0.25)
    canvas.stroke(upper, dark, 0.006 + 0.006 * person.lashes, 235)
    if person.lashes > 0.6:
        tip = upper[-1 if side > 0 else 0]
        canvas.stroke([tip, tip + np.array((0.012 * side, -0.01))], dark, 0.006, 220)


@dataclass(frozen=True)
class Iris:
    """What one eye's iris looks like, in picture sides.

    `colour` None is the person's own. `glint` is where the reflection of the light lies from the
    pupil, None on the side of the light; with `glint_size` 0 there is none.
    """

    colour: tuple[float, float, float] | None = None
    glint: tuple[float, float] | None = None
    glint_size: float = 0.0105
    pupil: float = 0.0115


def iris_layer(
    frame: Frame,
    person: Person,
    view: View,
    side: int,
    iris: Iris = Iris(),
) -> Layer:
    """Return the iris, pupil and catch-light of one eye as a layer."""
    x, y = eye_middle(person, side)
    x, y = x + view.gaze[0], y + view.gaze[1] - 0.003
    upper, lower = _lids(person, view, side)
    almond = np.concatenate([upper, lower[::-1]])
    tile = Canvas(frame, box_about(frame, frame.place(almond), 0.02))
    opening = Canvas(frame, tile.box)
    opening.poly(almond, (255, 255, 255))
    colour = iris.colour or person.iris
    radius = 0.032
    tile.oval((x, y), (radius, radius), tone(colour, 0.5))
    tile.oval((x, y), (radius * 0.86, radius * 0.86), tone(colour, 1.05), cover=False)
    tile.oval((x, y + 0.006), (radius * 0.6, radius * 0.5), tone(colour, 1.35), 110, cover=False)
    tile.oval((x, y), (iris.pupil, iris.pupil), (12, 10, 12), cover=False)
    tile.poly(np.concatenate([upper, upper[::-1] + _LID]), (20, 16, 18), 130, cover=False)
    if iris.glint_size > 0:
        right, down = iris.glint or (0.022 * view.light[0], -0.006 + 0.014 * view.light[1])
        radii = (iris.glint_size, iris.glint_size)
        tile.oval((x + right, y + down), radii, (255, 255, 252), cover=False)
    cover = ImageChops.darker(tile.cover, opening.cover)
    tile.rgb.paste((0, 0, 0), mask=ImageChops.invert(cover))
    tile.cover = cover
    return tile.layer()


def draw_brow(canvas: Canvas, person: Person, view: View, side: int) -> None:
    """Draw one eyebrow as a tapering band of the hair's colour."""
    x, _ = eye_middle(person, side)
    y = 0.408 - view.brow_raise
    t = np.linspace(0, 1, 6)
    xs = x + side * (-0.062 + 0.134 * t)
    arch = -person.brow_arch * np.sin(np.pi * np.clip(t * 0.9 + 0.05, 0, 1))
    ys = y + arch + 0.012 * (1 - t) - 0.004 + 0.01 * t
    thick = person.brow * (1.0 - 0.75 * t**1.5)
    upper = np.stack([xs, ys - thick], axis=1)
    lower = np.stack([xs, ys + thick * 0.5], axis=1)
    colour = mix(tone(person.hair, 0.85), tone(person.skin, 0.6), 0.25)
    canvas.poly(np.concatenate([upper, lower[::-1]]), colour, 225)


def draw_nose(canvas: Canvas, person: Person) -> None:
    """Draw nostrils and wings; the bridge is left to the light."""
    w, y = person.nose_width, person.nose_length
    dark = tone(person.skin, 0.42, 4)
    line = tone(person.skin, 0.66, 4)
    depth = 0.215
    for side in (-1, 1):
        canvas.oval((side * w * 0.45, y + 0.012), (0.011, 0.0055), dark, 200, depth=depth)
        wing = np.array([(0.8 * w, -0.026), (1.02 * w, -0.002), (0.8 * w, 0.014)])
        wing = wing * (side, 1) + np.array((0, y))
        canvas.stroke(curve(wing), line, 0.006, 150, depth=depth)
    under = [(-w * 0.75, y + 0.014), (0, y + 0.024), (w * 0.75, y + 0.014)]
    canvas.stroke(curve(under), line, 0.006, 130, depth=depth)


def draw_mouth(canvas: Canvas, person: Person, view: View) -> None:
    """Draw the lips, closed or open with a row of teeth, by the view's expression."""
    smile, opening = view.smile, 0.03 * view.mouth_open
    half = person.mouth_width * (1 + 0.16 * max(0.0, smile)) - 0.006 * view.mouth_open
    y, lift = 0.735, 0.016 * smile
    t = np.linspace(-1, 1, 11)
    arch = 1 - t * t
    xs = half * t
    seam_up = y - lift * t * t - 0.3 * opening * arch
    seam_low = y - lift * t * t + opening * arch + 0.006 * arch * max(0.0, smile)
    bow = np.array([0, 0.55, 0.8, 0.95, 1.0, 0.82, 1.0, 0.95, 0.8, 0.55, 0])
    natural = np.array(tone(person.skin, 0.74, 10))
    tint = np.array((176, 52, 66)) * (0.65 + 0.35 * max(person.skin) / 250)
    colour: Colour = mix(tuple(natural), tuple(tint), min(0.75, max(0.08, person.lip_tint * 0.7)))
    top = np.stack([xs, seam_up - person.lip * 0.95 * bow], axis=1)
    middle_up = np.stack([xs, seam_up], axis=1)
    middle_low = np.stack([xs, seam_low], axis=1)
    bottom = np.stack([xs, seam_low + person.lip * 1.35 * arch**0.8], axis=1)
    canvas.poly(np.concatenate([top, middle_up[::-1]]), tone(colour, 0.86))
    canvas.poly(np.concatenate([middle_low, bottom[::-1]]), colour)
    canvas.oval((0, seam_low[5] + person.lip * 0.55), (half * 0.35, person.lip * 0.28),
                tone(colour, 1.3), 110)  # fmt: skip
    if opening > 0:
        canvas.poly(np.concatenate([middle_up, middle_low[::-1]]), (58, 24, 26))
        teeth = middle_up[1:-1]
        depth = (0.75 * opening * arch[1:-1])[:, None] * (0, 1)
        canvas.poly(np.concatenate([teeth, (teeth + depth)[::-1]]), (232, 226, 214))
    else:
        canvas.stroke(middle_up, tone(colour, 0.45), 0.006, 220)
    for side in (-1, 1):
        canvas.oval((side * half, y - lift), (0.006, 0.005), tone(person.skin, 0.55), 150)


def draw_age(canvas: Canvas, person: Person, view: View) -> None:
    """Draw laughter lines and, with age, wrinkles of the forehead and about the eyes."""
    dark = tone(person.skin, 0.68, 3)
    fold = int(min(170, 12 + 90 * person.age + 60 * max(0.0, view.smile)))
    for side in (-1, 1):
        line = [(side * 0.066, 0.615), (side * 0.098, 0.665), (side * 0.114, 0.72)]
        canvas.stroke(curve(line), dark, 0.006, fold)
        if person.age > 0.45:
            for step in (-1, 0, 1):
                x = side * (person.eye_gap + person.eye_width + 0.008)
                line = [(x, EYE_Y + 0.008 * step), (x + side * 0.026, EYE_Y + 0.02 * step)]
                canvas.stroke(line, dark, 0.004, int(150 * person.age))
    if person.age > 0.5:
        for step in range(3):
            y = 0.3 + 0.027 * step
            line = [(-0.12, y + 0.006), (-0.05, y - 0.003), (0.04, y), (0.12, y + 0.006)]
            canvas.stroke(curve(line), dark, 0.0045, int(140 * person.age))
