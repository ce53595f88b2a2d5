# SPDX-License-Identifier: Apache-2.0
"""Who is drawn and how: the identity of a fictitious person (kept over that person's images) and
the view of one image. The faces are rendered, not photos; no person of these numbers exists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rgb = tuple[float, float, float]

# From very light to very dark, so that a uniform draw covers the human range evenly.
SKIN: tuple[Rgb, ...] = (
    (244, 214, 192),
    (238, 200, 172),
    (228, 182, 148),
    (210, 161, 126),
    (182, 131, 96),
    (148, 100, 70),
    (112, 74, 52),
    (80, 54, 42),
)
HAIR: dict[str, Rgb] = {
    "black": (30, 26, 26),
    "dark brown": (58, 40, 31),
    "brown": (94, 64, 43),
    "auburn": (116, 58, 36),
    "red": (164, 84, 44),
    "dark blond": (150, 116, 74),
    "blond": (206, 172, 114),
    "dyed blue": (58, 84, 140),
    "dyed teal": (62, 122, 134),
}
IRIS: dict[str, Rgb] = {
    "dark brown": (54, 34, 22),
    "brown": (92, 58, 32),
    "hazel": (128, 96, 50),
    "green": (84, 126, 80),
    "blue": (84, 130, 176),
    "gray": (126, 140, 150),
}
STYLES = ("bald", "buzz", "short", "quiff", "receding", "parted", "fringe", "bob", "long", "wavy",
          "curly", "afro", "bun", "wrap")  # fmt: skip
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
EARRINGS = ("stud", "hoop", "drop", "bar")
METALS: dict[str, Rgb] = {
    "gold": (232, 184, 66),
    "silver": (214, 220, 228),
    "pearl": (246, 240, 228),
    "ruby": (196, 32, 54),
    "turquoise": (40, 178, 178),
    "emerald": (26, 140, 78),
    "violet": (138, 74, 190),
}
BACKDROPS = ("gradient", "studio", "stripes", "bokeh", "blobs", "foliage", "wall", "shelf", "sky")
GLASSES = ("none", "round", "square", "half")


@dataclass(frozen=True)
class Person:
    """What stays the same over the images of one fictitious person.

    Colours are RGB 0..255, lengths are picture sides, `age` is 0 (about 18) to 1 (about 80).
    """

    skin: Rgb
    hair: Rgb
    style: str
    age: float
    beard: str
    iris: Rgb
    half_width: float
    jaw: float
    chin: float
    eye_gap: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow: float
    brow_arch: float
    nose_width: float
    nose_length: float
    lip: float
    lip_tint: float
    mouth_width: float
    freckles: float
    lashes: float
    glasses_share: float
    earring_share: float
    hair_seed: int


@dataclass(frozen=True)
class View:
    """What differs between two images of one person: pose, expression, light, what is worn."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    dx: float
    dy: float
    smile: float
    mouth_open: float
    eye_open: float
    brow_raise: float
    gaze: tuple[float, float]
    light: tuple[float, float, float]
    contrast: float
    light_colour: Rgb
    exposure: float
    backdrop: str
    glasses: str
    glasses_colour: Rgb
    earring: str
    earring_colour: str
    clothes: Rgb
    collar: str


def daylight_colour(rng: np.random.Generator, low: float, high: float, tint: float) -> np.ndarray:
    """Return a gray between `low` and `high` tinted mostly from blue to orange, as float32 RGB.

    Like in most photos little varies between green and magenta, where planted tints lie.
    """
    warm, rest = rng.normal(0, tint), rng.normal(0, 0.25 * tint, 3)
    colour = rng.uniform(low, high) + warm * np.array((1.0, 0.1, -1.1)) + rest
    return np.clip(colour, 8, 248).astype(np.float32)


def _between(rng: np.random.Generator, palette: tuple[Rgb, ...], place: float) -> Rgb:
    step = min(int(place * (len(palette) - 1)), len(palette) - 2)
    share = place * (len(palette) - 1) - step
    jitter = rng.normal(0, (3.0, 2.5, 3.5))
    one, other = np.array(palette[step]), np.array(palette[step + 1])
    return tuple((one + (other - one) * share + jitter).clip(20, 252).tolist())


def _hair_colour(rng: np.random.Generator, skin_place: float, age: float) -> Rgb:
    names = list(HAIR)
    fair = np.array([0.12, 0.2, 0.2, 0.1, 0.1, 0.12, 0.12, 0.02, 0.02])
    dark = np.array([0.6, 0.24, 0.08, 0.02, 0.01, 0.01, 0.01, 0.015, 0.015])
    weights = fair + (dark - fair) * min(1.0, skin_place * 1.5)
    colour = np.array(HAIR[names[rng.choice(len(names), p=weights / weights.sum())]])
    colour = colour * rng.uniform(0.85, 1.15)
    gray = np.clip((age - 0.45) * 2.2 + rng.normal(0, 0.2), 0, 0.95) if age > 0.4 else 0.0
    silver = np.array((190, 190, 194)) * rng.uniform(0.8, 1.1)
    return tuple((colour + (silver - colour) * gray).clip(8, 240).tolist())


def sample_person(rng: np.random.Generator) -> Person:
    """Draw one fictitious person; the same generator state gives the same person."""
    place, age, strong = rng.random(), rng.random() ** 1.2, rng.random()
    bearded = strong > 0.55 and rng.random() < 0.6
    styles = np.ones(len(STYLES))
    # Strong-featured persons go bald more often and wear it long less often; everything occurs.
    for style in ("bald", "buzz", "receding"):
        styles[STYLES.index(style)] = 0.15 + 1.2 * strong * (0.5 + age)
    for style in ("bob", "long", "wavy", "bun", "fringe"):
        styles[STYLES.index(style)] = 1.6 - 1.3 * strong
    iris_place = np.clip(place * 1.6 + rng.normal(0, 0.15), 0, 1)
    light_eyes = rng.choice(("blue", "gray", "green", "hazel", "brown"))
    iris = IRIS[rng.choice(("dark brown", "brown"))] if rng.random() < iris_place + 0.2 else (
        IRIS[light_eyes])  # fmt: skip
    return Person(
        skin=_between(rng, SKIN, place),
        hair=_hair_colour(rng, place, age),
        style=str(rng.choice(STYLES, p=styles / styles.sum())),
        age=float(age),
        beard=str(rng.choice(BEARDS[1:])) if bearded else "none",
        iris=tuple(np.multiply(iris, rng.uniform(0.85, 1.15)).clip(0, 230).tolist()),
        half_width=rng.uniform(0.214, 0.242),
        jaw=rng.uniform(0.66, 0.74) + 0.1 * strong,
        chin=rng.uniform(0.875, 0.905) + 0.01 * strong,
        eye_gap=rng.uniform(0.112, 0.126),
        eye_width=rng.uniform(0.057, 0.065),
        eye_height=rng.uniform(0.026, 0.034),
        eye_tilt=rng.uniform(-0.004, 0.012),
        brow=rng.uniform(0.008, 0.014) + 0.008 * strong,
        brow_arch=rng.uniform(0.004, 0.022),
        nose_width=rng.uniform(0.036, 0.06),
        nose_length=rng.uniform(0.61, 0.635),
        lip=rng.uniform(0.012, 0.024) * (1.15 - 0.3 * strong),
        lip_tint=rng.random() * (1.2 - strong),
        mouth_width=rng.uniform(0.076, 0.098),
        freckles=float(max(0.0, rng.normal(-0.3, 0.6))),
        lashes=1.0 - 0.7 * strong,
        glasses_share=float(rng.choice((0.05, 0.85), p=(0.75, 0.25))),
        earring_share=float(np.clip(1.05 - strong + rng.normal(0, 0.2), 0.08, 0.92)),
        hair_seed=int(rng.integers(2**31)),
    )


def sample_view(person: Person, rng: np.random.Generator) -> View:
    """Draw one view of `person`: small pose, expression, light, backdrop and accessories."""
    side = rng.uniform(-0.75, 0.75)
    light = np.array((side, rng.uniform(-0.7, 0.0), rng.uniform(0.55, 1.0)))
    light /= np.linalg.norm(light)
    warmth = rng.normal(0.01, 0.035)
    open_mouth = rng.random() < 0.4
    return View(
        yaw=float(np.clip(rng.normal(0, 0.1), -0.22, 0.22)),
        pitch=float(np.clip(rng.normal(0, 0.06), -0.12, 0.12)),
        roll=float(np.clip(rng.normal(0, 0.035), -0.08, 0.08)),
        scale=rng.uniform(0.96, 1.04),
        dx=rng.uniform(-0.014, 0.014),
        dy=rng.uniform(-0.014, 0.014),
        smile=float(np.clip(rng.normal(0.4, 0.4), -0.3, 1.0)),
        mouth_open=rng.uniform(0.3, 1.0) if open_mouth else 0.0,
        eye_open=rng.uniform(0.75, 1.1),
        brow_raise=rng.uniform(-0.008, 0.012),
        gaze=(rng.uniform(-0.014, 0.014), rng.uniform(-0.003, 0.003)),
        light=tuple(light.tolist()),
        contrast=rng.uniform(0.25, 0.75),
        light_colour=(1.0 + warmth, 1.0, 1.0 - 1.3 * warmth),
        exposure=rng.uniform(0.82, 1.12),
        backdrop=str(rng.choice(BACKDROPS)),
        glasses=str(rng.choice(GLASSES[1:])) if rng.random() < person.glasses_share else "none",
        glasses_colour=((28, 26, 30), (92, 56, 34), (150, 150, 158), (120, 28, 40))[
            rng.integers(4)
        ],
        earring=str(rng.choice(EARRINGS)) if rng.random() < person.earring_share else "none",
        earring_colour=str(rng.choice(list(METALS))),
        clothes=tuple(daylight_colour(rng, 25, 210, 30).tolist()),
        collar=str(rng.choice(("round", "shirt", "vee", "high"))),
    )
