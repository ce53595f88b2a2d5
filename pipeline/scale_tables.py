# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/scale.md, from what ``benchmarks.scale`` has kept.

docs/results/scale/SOURCE/N.json holds what each stage cost with N images. What was not measured is
extrapolated, stage by stage, from the two largest numbers of images that were.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facetell.common.files import read_json
from facetell.report.markdown import ABSENT, markdown
from pipeline import photo_tables

RESULTS = Path("docs/results/scale")
WANTED = (140_000, 1_000_000, 10_000_000)
NEEDED = ("split", "pack", "audit", "predict")  # of any experiment, whatever is trained
TRAINING = 100 / 140  # share of the 140k set
NOTHING = "Not measured yet."
Found = dict[int, dict[str, Any]]


def found(source: str) -> Found:
    """What was kept by number of images, ascending."""
    kept = (read_json(path) for path in (RESULTS / source).glob("*.json"))
    return {one["images"]: one for one in sorted(kept, key=lambda one: one["images"])}


@dataclass(frozen=True)
class Law:
    """How a cost grows with n images: ``fixed + slope * n``, or ``slope * n ** power``.

    >>> Law.of({1000: 3.0, 2000: 5.0})
    Law(fixed=1.0, slope=0.002, power=1.0)
    >>> Law.of({1000: 1.0, 2000: 4.0}).power
    2.0
    """

    fixed: float
    slope: float
    power: float

    @classmethod
    def of(cls, points: Mapping[int, float]) -> "Law":
        """Through the two largest n: a line, or where that would start below zero, a power of n,
        at most its square: no stage does more than compare all pairs. What shrinks is taken as
        constant.

        Raises
        ------
        ValueError : only one was measured, which says nothing of others.
        """
        (n, first), (most, last) = sorted(points.items())[-2:]
        slope = (last - first) / (most - n)
        if slope <= 0:
            return cls(max(first, last), 0.0, 1.0)
        if slope * n <= first:
            return cls(first - slope * n, slope, 1.0)
        power = min(2.0, math.log(last / first) / math.log(most / n)) if first else 1.0
        return cls(0.0, last / most**power, power)

    def __call__(self, n: int) -> float:
        return self.fixed + self.slope * n**self.power

    def said(self, written: Callable[[float], str]) -> str:
        """In words; the slope per million images."""
        if not self.slope:
            return "constant"
        if self.power != 1:
            return f"n^{self.power:.2f}"
        start = f"{written(self.fixed)} + " if self.fixed else ""
        return f"{start}{written(self.slope * 1e6)} per million"


def duration(seconds: float) -> str:
    """Two significant digits or more, in the unit that suits them.

    >>> duration(3.21), duration(200), duration(40_000), duration(1e6)
    ('3.2 s', '3.3 min', '11.1 h', '11.6 days')
    """
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def space(mib: float) -> str:
    """Of memory or disk.

    >>> space(0.2), space(700.4), space(20_480)
    ('0 MiB', '700 MiB', '20.0 GiB')
    """
    return f"{mib / 1024:,.1f} GiB" if mib >= 10 * 1024 else f"{mib:,.0f} MiB"


@dataclass(frozen=True)
class Measure:
    """A cost of a stage: its key, how it is written, and how stages add up."""

    key: str
    written: Callable[[float], str]
    together: tuple[str, Callable[..., float]]


TIME = Measure("seconds", duration, ("all, one after the other", sum))
LARGEST = Measure("largest_mib", space, ("the most", max))
MEMORY = Measure("together_mib", space, ("the most", max))
DISK = Measure("disk_mib", space, ("all", sum))


def costs(source: str, measure: Measure) -> str:
    """A measure of every stage, by number of images; ``≈`` before what is extrapolated."""
    kept = found(source)
    times = Counter(stage for one in kept.values() for stage in one["stages"])
    stages = [stage for stage, measured in times.items() if measured > 1]
    if not stages:
        return NOTHING
    numbers = sorted({*kept, *WANTED})
    cells: dict[str, dict[int, tuple[float, bool]]] = {}
    laws = {}
    for stage in stages:
        points = {n: one["stages"][stage][measure.key] for n, one in kept.items()
                  if stage in one["stages"]}  # fmt: skip
        laws[stage] = law = Law.of(points)
        cells[stage] = {n: (points[n], True) if n in points else (law(n), False) for n in numbers}
    name, add = measure.together
    cells[name] = {
        n: (add(row[n][0] for row in cells.values()), all(row[n][1] for row in cells.values()))
        for n in numbers
    }
    rows = [
        {"stage": stage if stage == name else f"`{stage}`"}
        | {f"{n:,}": "≈ " * (not seen) + measure.written(value)
           for n, (value, seen) in row.items()}
        | {"model": laws[stage].said(measure.written) if stage in laws else ""}
        for stage, row in cells.items()
    ]  # fmt: skip
    return markdown(pd.DataFrame(rows))


def ratios(source: str) -> str:
    """The largest number of images against the one before it: time per image, and memory."""
    numbers = list(kept := found(source))[-2:]
    if len(numbers) < 2:
        return NOTHING
    few, many = (kept[n]["stages"] for n in numbers)
    fewer = numbers[0] / numbers[1]
    rows = [
        {
            "stage": f"`{stage}`",
            "time per image": f"{_ratio(few, many, stage, 'seconds') * fewer:.2f}",
            "largest process": f"{_ratio(few, many, stage, 'largest_mib'):.2f}",
            "all processes": f"{_ratio(few, many, stage, 'together_mib'):.2f}",
        }
        for stage in many
        if stage in few
    ]
    needed = sum(many[stage]["seconds"] for stage in NEEDED)
    most = max(many[stage]["together_mib"] for stage in NEEDED)
    largest, before = (max(of[stage]["largest_mib"] for stage in NEEDED) for of in (many, few))
    said = (
        f"Each number is that of {numbers[1]:,} images over that of {numbers[0]:,}. "
        f"{', '.join(NEEDED[:-1])} and {NEEDED[-1]} of {numbers[1]:,} images took "
        f"{duration(needed)}, and at most {space(most)} in all processes together. "
        f"Their largest process took {space(largest)}, {largest / before:.2f} times that of "
        f"{numbers[0]:,} images."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\n{said}"


def _ratio(few: dict[str, Any], many: dict[str, Any], stage: str, key: str) -> float:
    return float(many[stage][key] / few[stage][key])


def start_of_dvc() -> str:
    """Seconds that dvc takes before a stage, by number of images."""
    rows = [
        {"images": f"{n:,}", "size": f"{one['size']} px" if one["size"] else "photos"}
        | {f"`{name}`": duration(seconds) for name, seconds in one["dvc"].items()}
        for source in ("drawn", "photos")
        for n, one in found(source).items()
    ]
    return markdown(pd.DataFrame(rows)) if rows else NOTHING


def measured_on(source: str) -> str:
    """What was measured, and the machine."""
    if not (kept := found(source)):
        return NOTHING
    lines = []
    for n, one in kept.items():
        machine, size = one["machine"], f" of {one['size']} px" if one["size"] else ""
        lines.append(
            f"- {n:,} images{size} ({space(one['archive_mib'])}): {machine['processor']}, "
            f"{machine['memory_gib']:.0f} GiB, torch {machine['torch']}; "
            f"`{' '.join(one['settings'])}`"
        )
    return "\n".join(lines)


def trainings() -> str:
    """How long networks train by the recipes of docs/results.md, were there more images."""
    rows = []
    for name, kept in photo_tables.results("faces140k").items():
        recipe, cost = (kept["scores"]["training"][part] for part in ("recipe", "cost"))
        if not recipe.get("epochs") or recipe.get("frozen") or not cost.get("images_per_second"):
            continue
        times = {
            f"{n:,}": f"≈ {duration(recipe['epochs'] * TRAINING * n / cost['images_per_second'])}"
            for n in WANTED
        }
        rows.append(
            {
                "detector": f"`{name}`",
                "input, epochs": f"{recipe['image_size']} px, {recipe['epochs']}",
                "images/s": f"{cost['images_per_second']:,.0f}",
                "on": cost["device"] or ABSENT,
            }
            | times
        )
    return markdown(pd.DataFrame(rows)) if rows else NOTHING


BLOCKS: dict[str, Callable[[], str]] = {
    f"scale-{source}-{name}": lambda source=source, measure=measure: costs(source, measure)  # type: ignore[misc]
    for source in ("drawn", "photos")
    for name, measure in {
        "time": TIME, "largest": LARGEST, "memory": MEMORY, "disk": DISK,
    }.items()
} | {
    "scale-ratios": lambda: ratios("drawn"),
    "scale-drawn-machine": lambda: measured_on("drawn"),
    "scale-photos-machine": lambda: measured_on("photos"),
    "scale-dvc": start_of_dvc,
    "scale-trainings": trainings,
}  # fmt: skip
