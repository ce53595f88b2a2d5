# SPDX-License-Identifier: Apache-2.0
"""Which folders name the generator of a fake, and which a video, an identity or a shard."""

import re
from collections import Counter
from collections.abc import Sequence

from facetell.common.errors import UserError
from facetell.dataset.tree import FILLERS, Folders, Place, words_of

MOST = 20  # folders: more of them are videos or identities, unless their names are known
KNOWN = re.compile(  # published generators and methods of manipulation
    r"gan|diffusion|stable|^sd|sdxl|dall|midjourney|glide|vqdm|wukong|^adm|ldm|dd[pi]m|flux|imagen|"
    r"firefly|kandinsky|deepfake|faceswap|face2face|neuraltextures|faceshifter|fsgan|simswap|swap|"
    r"blendface|hififace|inswap|roop|wav2lip|sadtalker|reenact|^dit|^sit|vae|crn|imle|san$|sitd",
    re.IGNORECASE,
)


def generators(
    places: Sequence[Place], said: Sequence[str] | bool | None = None
) -> tuple[list[str], list[Folders]]:
    """The generator of each image ("" for real ones), and the folders that are left over.

    Parameters
    ----------
    places : of the images, (N,), with a label each.
    said : names of the folders that are generators, or False for none; None: those whose names
        are published ones, and others where they are few and large, unless real images lie in
        folders of the same names.

    Raises
    ------
    UserError : ``said`` names a folder that no fake lies in.

    >>> fakes = [Place(1, "", below=("stylegan3", f"{seed:04d}")) for seed in range(30)]
    >>> names, rest = generators(fakes)
    >>> names[0], rest[0]
    ('stylegan3', ('0000',))
    """
    sides = [tuple(map(_telling, (place.above, place.below))) for place in places]
    if said is None or isinstance(said, bool):
        named = set() if said is False else _named_levels(sides, places)
        taken = [_at(both, named) for both in sides]
    else:
        wanted = {str(name).casefold() for name in said}
        taken = [
            [(side, at) for side in (0, 1) for at, name in enumerate(both[side])
             if name.casefold() in wanted]
            for both in sides
        ]  # fmt: skip
        there = {
            both[s][at].casefold() for both, t in zip(sides, taken, strict=True) for s, at in t
        }
        if missing := sorted(wanted - there):
            raise UserError(f"data.generators: there is no folder {', '.join(missing)}")
    names, rest = [], []
    for place, both, mine in zip(places, sides, taken, strict=True):
        names.append("/".join(both[side][at] for side, at in mine) if place.label else "")
        gone = set(mine) if place.label else set()
        rest.append(tuple(name for at, name in enumerate(both[1]) if (1, at) not in gone))
    return names, rest


def _telling(names: Folders) -> Folders:
    return tuple(name for name in names if not set(words_of(name)) <= FILLERS or _numbered(name))


def _numbered(name: str) -> bool:
    return any(map(str.isdigit, name))


def _named_levels(
    sides: Sequence[tuple[Folders, ...]], places: Sequence[Place]
) -> set[tuple[int, int]]:
    """Levels whose folders are generators: above (0) or below (1) the class, and how deep."""
    fakes: dict[tuple[int, int], Counter[str]] = {}
    reals: dict[tuple[int, int], set[str]] = {}
    for both, place in zip(sides, places, strict=True):
        for side, names in enumerate(both):
            for at, name in enumerate(names):
                if place.label:
                    fakes.setdefault((side, at), Counter())[name] += 1
                else:
                    reals.setdefault((side, at), set()).add(name)
    levels = set()
    for level, counts in fakes.items():
        below = level[0] == 1
        shared = below and set(counts) <= reals.get(level, set())
        if not shared and (below or len(counts) > 1) and _are_generators(counts):
            levels.add(level)
    return levels


def _are_generators(counts: Counter[str]) -> bool:
    total = sum(counts.values())
    known = sum(number for name, number in counts.items() if KNOWN.search(name))
    if known > total / 2:
        return True
    bare = Counter(re.sub(r"\d+", "", name) for name in counts)
    series = bare.most_common(1)[0][1] > max(1, len(counts) / 2)  # video_1, video_2, or 000_003
    numbers = all(set(words_of(name)) <= FILLERS for name in counts)
    large = total / len(counts) >= len(counts)
    return len(counts) <= MOST and large and not series and not numbers


def _at(sides: tuple[Folders, ...], levels: set[tuple[int, int]]) -> list[tuple[int, int]]:
    return [
        (s, at) for s, names in enumerate(sides) for at in range(len(names)) if (s, at) in levels
    ]
