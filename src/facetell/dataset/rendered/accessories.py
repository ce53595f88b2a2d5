# SPDX-License-Identifier: Apache-2.0
"""What the rendered demo faces wear: clothes, glasses, earrings and the decoy patches (stickers,
bandages, face paint) that occur in both classes alike."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, Colour, Frame, Layer, box_about, curve, mix, tone
from .features import EYE_Y
from .person import METALS, Person, View, daylight_colour

DECOYS = ("sticker", "colour", "paint", "bandage")
_EAR_DEPTH = 0.0


def draw_shoulders(canvas: Canvas, person: Person, view: View) -> None:
    """Draw the neck and the clothes below the face."""
    w = person.half_width
    neck = 0.62 * w + 0.05 * person.jaw
    skin = tone(person.skin, 0.72)
    canvas.poly(
        [(-neck, 0.66), (neck, 0.66), (neck * 1.02, 0.94), (neck * 1.5, 1.1), (-neck * 1.5, 1.1),
         (-neck * 1.02, 0.94)], skin, depth=0.06,
    )  # fmt: skip
    cloth = tone(view.clothes, 1.0)
    low = {"round": 0.965, "shirt": 0.99, "vee": 1.04, "high": 0.9}[view.collar]
    side = 0.93 if view.collar != "high" else 0.885
    top = [(-0.62, 1.02), (-0.4, 0.965), (-neck * 1.12, side), (0, low), (neck * 1.12, side),
           (0.4, 0.965), (0.62, 1.02)]  # fmt: skip
    line = np.array(top) if view.collar == "vee" else curve(top)
    canvas.poly([*line.tolist(), (0.7, 1.2), (-0.7, 1.2)], cloth, depth=0.06)
    canvas.stroke(line[len(line) // 4 : -len(line) // 4], tone(cloth, 0.7), 0.01, depth=0.06)
    if view.collar == "shirt":
        for s in (-1, 1):
            flap = [(s * neck * 1.05, 0.925), (s * neck * 0.15, 0.995), (s * neck * 0.9, 1.06)]
            canvas.poly(flap, tone(cloth, 1.18), depth=0.06)


def glasses_layer(frame: Frame, person: Person, view: View) -> Layer | None:
    """Return the glasses as a layer over the irises, or None where none are worn."""
    if view.glasses == "none":
        return None
    canvas = Canvas(frame)
    colour = tone(view.glasses_colour, 1.0)
    rx, ry = 0.088, {"round": 0.078, "square": 0.062, "half": 0.06}[view.glasses]
    power = {"round": 1.0, "square": 0.45, "half": 0.6}[view.glasses]
    t = np.linspace(0, 2 * math.pi, 33)
    ring = np.stack(
        [np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power * rx,
         np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power * ry], axis=1,
    )  # fmt: skip
    gap = person.eye_gap + 0.004
    for side in (-1, 1):
        place = ring + np.array((side * gap, EYE_Y + 0.008))
        canvas.poly(place, (150, 160, 170), 22)
        shine = np.array([(-0.03, -0.045), (-0.01, -0.045), (-0.045, 0.02), (-0.055, 0.0)])
        canvas.poly(shine + np.array((side * gap, EYE_Y)), (255, 255, 255), 34)
        line = place[17:] if view.glasses == "half" else place
        canvas.stroke(line, colour, 0.009)
        temple = [(side * (gap + rx), EYE_Y - 0.01), (side * (person.half_width + 0.01), EYE_Y)]
        canvas.stroke(temple, colour, 0.008)
    bridge = [(-gap + rx, EYE_Y), (0, EYE_Y - 0.012), (gap - rx, EYE_Y)]
    canvas.stroke(curve(bridge), colour, 0.009)
    return canvas.layer()


def lobe(person: Person, side: int) -> tuple[float, float]:
    """Return the head coordinates of an ear lobe; `side` is -1 (picture's left) or 1."""
    return side * (person.half_width + 0.014), 0.605


def earring_layer(
    frame: Frame, person: Person, side: int, style: str, metal: str, glint: float
) -> Layer | None:
    """Return one earring as a layer, or None for the style "none"; `glint` (-1..1) is the light."""
    if style == "none":
        return None
    x, y = lobe(person, side)
    end = {"stud": 0.03, "hoop": 0.105, "drop": 0.125, "bar": 0.15}[style]
    reach = frame.place([(x - 0.05, y - 0.02), (x + 0.05, y + end)], _EAR_DEPTH)
    canvas = Canvas(frame, box_about(frame, reach, 0.015))
    colour: Colour = tone(METALS[metal], 1.0)
    dark, light = tone(colour, 0.5), mix(colour, (255, 255, 255), 0.7)
    if style == "stud":
        canvas.oval((x, y), (0.0225, 0.0225), dark, depth=_EAR_DEPTH)
        canvas.oval((x, y), (0.0185, 0.0185), colour, depth=_EAR_DEPTH)
    elif style == "hoop":
        t = np.linspace(0, 2 * math.pi, 25)
        ring = np.stack([x + 0.038 * np.sin(t), y + 0.044 - 0.046 * np.cos(t)], axis=1)
        canvas.stroke(ring, dark, 0.0185, depth=_EAR_DEPTH)
        canvas.stroke(ring, colour, 0.013, depth=_EAR_DEPTH)
        y += 0.088
    elif style == "drop":
        canvas.stroke([(x, y), (x, y + 0.06)], dark, 0.009, depth=_EAR_DEPTH)
        y += 0.082
        canvas.oval((x, y), (0.0275, 0.037), dark, depth=_EAR_DEPTH)
        canvas.oval((x, y), (0.023, 0.032), colour, depth=_EAR_DEPTH)
    else:
        canvas.stroke([(x, y), (x, y + 0.14)], dark, 0.03, depth=_EAR_DEPTH)
        canvas.stroke([(x, y + 0.004), (x, y + 0.134)], colour, 0.022, depth=_EAR_DEPTH)
        y += 0.05
    canvas.oval((x + 0.007 * glint, y - 0.008), (0.007, 0.007), light, depth=_EAR_DEPTH)
    return canvas.layer()


def decoy_layer(kind: str, frame: Frame, person: Person, rng: np.random.Generator) -> Layer:
    """Return a decoy patch (one of `DECOYS`) on the cheek, forehead, chin or beside the head."""
    places = [(-0.14, 0.6), (0.14, 0.6), (-0.08, 0.32), (0.09, 0.32), (0.0, 0.83), (-0.4, 0.3),
              (0.4, 0.3), (-0.38, 0.7), (0.38, 0.7)]  # fmt: skip
    on_face = kind in ("paint", "bandage")
    x, y = places[rng.integers(5 if on_face else len(places))]
    x, y = x + rng.normal(0, 0.02), y + rng.normal(0, 0.02)
    size = rng.uniform(0.055, 0.1)
    colour = tone(daylight_colour(rng, 40, 220, 70), 1.0)
    around = frame.place([(x - 1.2 * size, y - 1.2 * size), (x + 1.2 * size, y + 1.2 * size)])
    canvas = Canvas(frame, box_about(frame, around, 0.02))
    turn = rng.uniform(0, 2 * math.pi)
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])

    def turned(points: list[tuple[float, float]]) -> np.ndarray:
        return np.array(points) @ matrix * size + (x, y)

    if kind == "sticker":
        points = int(rng.integers(5, 9))
        spikes = [
            ((1 - 0.5 * (k % 2)) * math.cos(math.pi * k / points),
             (1 - 0.5 * (k % 2)) * math.sin(math.pi * k / points)) for k in range(2 * points)
        ]  # fmt: skip
        canvas.poly(turned(spikes), colour, depth=0.15)
        canvas.oval((x, y), (size * 0.3, size * 0.3), mix(colour, (255, 255, 255), 0.6), depth=0.15)
    elif kind == "colour":
        block = turned([(-0.9, -0.7), (0.9, -0.7), (0.9, 0.7), (-0.9, 0.7)])
        canvas.poly(block, colour, int(rng.uniform(110, 255)), depth=0.15)
    elif kind == "paint":
        for step in (-0.5, 0.0, 0.5):
            canvas.stroke(turned([(-0.8, step), (0.8, step + 0.1)]), colour, size * 0.3, 215,
                          depth=0.15)  # fmt: skip
    else:
        tape = mix((224, 186, 148), colour, 0.2)
        canvas.stroke(turned([(-1, 0), (1, 0)]), tape, size * 0.7, depth=0.15)
        pad = turned([(-0.3, -0.3), (0.3, -0.3), (0.3, 0.3), (-0.3, 0.3)])
        canvas.poly(pad, tone(tape, 1.12), depth=0.15)
        for hole in ((-0.6, 0.12), (-0.6, -0.12), (0.6, 0.12), (0.6, -0.12)):
            px, py = turned([hole])[0]
            canvas.oval((px, py), (0.006, 0.006), tone(tape, 0.7), depth=0.15)
    return canvas.layer()
