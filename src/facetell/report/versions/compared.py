# SPDX-License-Identifier: Apache-2.0
"""Two or more versions of all results, compared: numbers, verdicts, settings, data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from facetell.common.errors import UserError
from facetell.metrics.intervals import RESAMPLES, Resamples
from facetell.report.versions.pairing import Difference, Pair, draws_of, paired, unlike
from facetell.report.versions.settings import Change, changes
from facetell.report.versions.version import Model, Version

# by name: where metrics/models/<model>.json has the number, and its heading
NUMBERS = {
    "auc": ("clean", "auc", "AUC, clean test images"),
    "accuracy": ("clean", "accuracy", "Accuracy, clean test images"),
    "perturbed_auc_mean": ("robustness", "auc_mean", "AUC, mean over perturbations"),
    "perturbed_auc_worst": ("robustness", "auc_worst", "AUC, worst perturbation"),
}
# what of metrics/data.json is compared; of the rest, a new image changes every digit
DATA = (
    "counts", "persons", "sets", "platforms", "laundered", "harmonised", "set_aside",
    "pairs_across_splits", "contradictions", "copies", "effective",
)  # fmt: skip
REMEDY = "Check that version out and run `dvc pull` or `dvc repro`; then compare again."


@dataclass(frozen=True)
class Number:
    """One number of one version with its 95% interval, where it has one.

    of : what it is of, as the name of the worst perturbation.
    """

    value: float
    low: float | None = None
    high: float | None = None
    of: str = ""


@dataclass(frozen=True)
class Believed:
    """How many of how many maps are believed, on fakes with so many artefacts; ``scope`` says on
    which of these fakes."""

    believed: int
    maps: int
    scope: str


@dataclass(frozen=True)
class Compared:
    """One model in all versions; lists have one item for each version, or for each but the first.

    numbers : by name as in ``NUMBERS``, one for each version, None where there is none.
    differences : by name, later versions minus the first.
    pairs : later versions with the first, None where they cannot be paired.
    believed : by kind of fakes, one for each version.
    variants : AUC of each perturbed variant, one for each version.
    """

    numbers: Mapping[str, Sequence[Number | None]]
    differences: Mapping[str, Sequence[Difference | None]]
    pairs: Sequence[Pair | None]
    believed: Mapping[str, Sequence[Believed | None]]
    variants: Mapping[str, Sequence[float | None]]

    @property
    def changed(self) -> bool:
        """Whether any version has another number, verdict or belief than the first."""
        rows = [*self.numbers.values(), *self.believed.values(), *self.variants.values()]
        moved = any(value != row[0] for row in rows for value in row)
        return moved or any(pair is not None and pair.turned for pair in self.pairs)


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` returns. ``params``, ``data`` and ``warnings`` have one item for each
    version but the first: what differs from that, and the warnings that are (gone, new).

    notes : sentences on what could not be compared, and why.
    """

    versions: Sequence[Version]
    models: Mapping[str, Compared]
    params: Sequence[Sequence[Change]]
    data: Sequence[Sequence[Change]]
    warnings: Sequence[tuple[Sequence[str], Sequence[str]]]
    notes: Sequence[str]

    @property
    def names(self) -> list[str]:
        return [version.name for version in self.versions]

    def as_json(self) -> dict[str, Any]:
        """Everything, with all images whose verdict changed; keys as in the classes above."""
        return {
            "versions": [{"name": v.name, "commit": v.commit} for v in self.versions],
            "models": {name: _model_json(found) for name, found in self.models.items()},
            "params": [[change.as_json() for change in found] for found in self.params],
            "data": [[change.as_json() for change in found] for found in self.data],
            "warnings": [{"gone": list(gone), "new": list(new)} for gone, new in self.warnings],
            "notes": list(self.notes),
        }


def compare(
    versions: Sequence[Version], *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare all versions with the first.

    Parameters
    ----------
    versions : two or more. resamples, seed : of the bootstrap of persons.

    Raises
    ------
    UserError : no version has results, or there are fewer than two versions.

    Examples
    --------
    >>> old, new = (Version(n, models={"swin": Model({"clean": {"auc": a}})})
    ...             for n, a in (("main", 0.75), ("workspace", 0.875)))
    >>> compare([old, new]).models["swin"].differences["auc"][0].value
    0.125
    """
    if len(versions) < 2:
        raise UserError("two versions or more are compared")
    first, later = versions[0], versions[1:]
    names = list(dict.fromkeys(name for version in versions for name in version.models))
    if not names:
        raise UserError(
            f"there are no results in {', '.join(v.name for v in versions)}: no metrics/models"
        )
    notes = [f"{v.name} has no results: no metrics/models" for v in versions if not v.models]
    notes += _unpaired(first, later)
    draws = None if first.test is None else draws_of(first, resamples, seed)
    return Comparison(
        versions,
        {name: _compared(name, versions, draws) for name in names},
        [changes(first.params, version.params) for version in later],
        [changes(_data(first), _data(version)) for version in later],
        [_warnings(first, version) for version in later],
        notes,
    )


def _unpaired(first: Version, later: Sequence[Version]) -> list[str]:
    """Why differences have no interval and no images are shown."""
    alone = "Intervals are of each version by itself, and changed verdicts are not shown: "
    without = [v.name for v in (first, *later) if v.models and not _has_predictions(v)]
    notes = []
    if without:
        notes.append(f"{alone}the predictions of {' and '.join(without)} are not here. {REMEDY}")
    for version in later:
        if _on_others(first, version):
            notes.append(f"Nothing is subtracted, as {unlike(first, version)}.")
    return notes


def _has_predictions(version: Version) -> bool:
    found = any(model.predictions is not None for model in version.models.values())
    return found and version.test is not None


def _on_others(old: Version, new: Version) -> bool:
    """Whether two versions are known to be tested on other images."""
    return old.test is not None and new.test is not None and bool(unlike(old, new))


def _compared(name: str, versions: Sequence[Version], draws: Resamples | None) -> Compared:
    models = [version.models.get(name) for version in versions]
    pairs = [_pair(name, versions[0], version, draws) for version in versions[1:]]
    comparable = [not _on_others(versions[0], version) for version in versions[1:]]
    numbers = {key: [_number(model, key) for model in models] for key in NUMBERS}
    differences = {
        key: [
            _difference(key, found[0], number, pair) if same else None
            for number, pair, same in zip(found[1:], pairs, comparable, strict=True)
        ]
        for key, found in numbers.items()
    }
    return Compared(
        numbers, differences, pairs, _in_each(map(_believed, models)), _in_each(map(_areas, models))
    )


def _pair(name: str, old: Version, new: Version, draws: Resamples | None) -> Pair | None:
    sides = [v.models[name].predictions if name in v.models else None for v in (old, new)]
    if draws is None or sides[0] is None or sides[1] is None or unlike(old, new):
        return None
    assert old.test is not None
    return paired(old.test, sides[0], sides[1], draws)


def _number(model: Model | None, key: str) -> Number | None:
    part, name, _ = NUMBERS[key]
    found = model.scores.get(part, {}) if model else {}
    if name not in found:
        return None
    low, high = found.get("interval", {}).get(name, (None, None))
    worst = found["worst"] if key == "perturbed_auc_worst" else ""
    return Number(found[name], low, high, worst)


def _difference(
    key: str, old: Number | None, new: Number | None, pair: Pair | None
) -> Difference | None:
    if pair is not None and key in pair.differences:
        return pair.differences[key]
    return None if old is None or new is None else Difference(new.value - old.value)


def _believed(model: Model | None) -> dict[str, Believed]:
    verdicts = model.explained.get("planted", {}).get("verdicts", {}) if model else {}
    return {
        kind: Believed(found["believed"], found["maps"], found["scope"])
        for kind, found in verdicts.items()
    }


def _areas(model: Model | None) -> dict[str, float]:
    variants = model.scores.get("variants", {}) if model else {}
    return {name: numbers["auc"] for name, numbers in variants.items() if "auc" in numbers}


def _in_each(found: Any) -> dict[str, list[Any]]:
    """From one mapping for each version, one list for each key; None where a version lacks it."""
    all_of = list(found)
    keys = dict.fromkeys(key for one in all_of for key in one)
    return {key: [one.get(key) for one in all_of] for key in keys}


def _data(version: Version) -> dict[str, Any]:
    return {key: version.data[key] for key in DATA if key in version.data}


def _warnings(old: Version, new: Version) -> tuple[list[str], list[str]]:
    before, after = (_said(version) for version in (old, new))
    return [w for w in before if w not in after], [w for w in after if w not in before]


def _said(version: Version) -> list[str]:
    audit = version.data.get("audit", {})
    return [*version.data.get("warnings", []), *audit.get("warnings", [])]


def _model_json(found: Compared) -> dict[str, Any]:
    def plain(row: Sequence[Any]) -> list[Any]:
        return [None if value is None else asdict(value) for value in row]

    return {
        "numbers": {name: plain(row) for name, row in found.numbers.items()},
        "differences": {name: plain(row) for name, row in found.differences.items()},
        "pairs": [None if pair is None else pair.as_json() for pair in found.pairs],
        "believed": {kind: plain(row) for kind, row in found.believed.items()},
        "variants": {name: list(row) for name, row in found.variants.items()},
    }
