# SPDX-License-Identifier: Apache-2.0
"""A comparison of versions as short Markdown, for a terminal and for a code review."""

from collections.abc import Iterator, Sequence

from facetell.evaluation.robustness import bounded
from facetell.metrics import intervals
from facetell.metrics.paired_tests import p_in_words
from facetell.report.markdown import ABSENT, markdown_lines
from facetell.report.number_format import counted, listed
from facetell.report.versions.compared import NUMBERS, Believed, Compared, Comparison, Number
from facetell.report.versions.pairing import Difference, Pair
from facetell.report.versions.settings import Change

LISTED = 20  # settings, and facts about the data
KINDS = {
    "single": "fakes with one artefact",
    "several": "fakes with several artefacts",
    "altered": "fakes whose altered pixels are known",
}


def summary(found: Comparison) -> str:
    """Markdown of what changed: notes, numbers, verdicts, maps, settings, data; what did not change
    is said in a word.

    Examples
    --------
    >>> from facetell.report.versions.compared import compare
    >>> from facetell.report.versions.version import Model, Version
    >>> old, new = (Version(n, models={"swin": Model({"clean": {"auc": a}})})
    ...             for n, a in (("main", 0.75), ("workspace", 0.875)))
    >>> print(summary(compare([old, new])).split("####")[1].strip())
    AUC, clean test images
    <BLANKLINE>
    | model | `main` | `workspace` | difference |
    | --- | --- | --- | --- |
    | swin | 0.750 | 0.875 | +0.125 |
    """
    paragraphs = [f"### {title(found)}", *found.notes, *_unchanged(found)]
    changed = {name: model for name, model in found.models.items() if model.changed}
    for heading, lines in tables(found, changed, same_maps=False):
        paragraphs += [f"#### {heading}", markdown_lines(lines)]
    if (how := method(found)) and changed:
        paragraphs.append(how)
    for heading, sentences in lists(found):
        paragraphs += [f"#### {heading}", "\n".join(f"- {sentence}" for sentence in sentences)]
    return "\n\n".join(paragraphs) + "\n"


def title(found: Comparison) -> str:
    """The versions by name, the first of them the one that others are compared with."""
    if len(found.names) == 2:
        return "`{}` → `{}`".format(*found.names)
    return f"{listed(found.names[1:])}, compared with `{found.names[0]}`"


def method(found: Comparison) -> str:
    """What the differences are of; "" where nothing could be paired."""
    pairs = [pair for model in found.models.values() for pair in model.pairs if pair]
    if not pairs:
        return ""
    return (
        f"Differences with an interval are of the same {pairs[0].images:,} test images, new minus "
        f"old; {intervals.in_words()} intervals and p-values count persons, not images (DeLong for "
        "AUC, McNemar for accuracy; not corrected for the number of models)."
    )


def _unchanged(found: Comparison) -> list[str]:
    same = [name for name, model in found.models.items() if not model.changed]
    if not same:
        return []
    if len(same) == len(found.models):
        return [f"No number, verdict or map changed: {listed(same)}."]
    return [f"Unchanged: {listed(same)}."]


def tables(
    found: Comparison, models: dict[str, Compared], *, same_maps: bool = True
) -> Iterator[tuple[str, list[list[str]]]]:
    """Heading and rows, the first row of headings: each number of ``models``, changed verdicts,
    and believed maps, with ``same_maps`` also of models whose maps are believed as before."""
    if not models:
        return
    for key, (*_, heading) in NUMBERS.items():
        if any(any(model.numbers[key]) for model in models.values()):
            rows = [_numbers(name, model, key) for name, model in models.items()]
            yield heading, [["model", *_columns(found)], *rows]
    turned = [
        [name, *([version] if len(found.names) > 2 else []), *_turned(pair)]
        for name, model in models.items()
        for version, pair in zip(found.names[1:], model.pairs, strict=True)
        if pair
    ]
    if turned:
        of = ["version"] if len(found.names) > 2 else []
        heads = ["model", *of, "changed", "right now", "wrong now", "real → fake", "fake → real"]
        yield "Test images whose verdict changed", [heads, *turned]
    for kind, words in KINDS.items():
        rows = [
            [name, *map(believed, model.believed[kind])]
            for name, model in models.items()
            if kind in model.believed and (same_maps or len(set(model.believed[kind])) > 1)
        ]
        if rows:
            heads = ["model", *(f"`{name}`" for name in found.names)]
            yield f"Maps that can be believed, {words}", [heads, *rows]


def _columns(found: Comparison) -> list[str]:
    versions = [f"`{name}`" for name in found.names]
    if len(versions) == 2:
        return [*versions, "difference"]
    return [*versions, *(f"{name} − {versions[0]}" for name in versions[1:])]


def _numbers(name: str, model: Compared, key: str) -> list[str]:
    return [name, *map(number, model.numbers[key]), *map(difference, model.differences[key])]


def number(found: Number | None) -> str:
    """A value with its interval, and what it is of.

    >>> number(Number(0.9, 0.85, 0.94)), number(Number(0.5, of="hue")), number(None)
    ('0.900 [0.850, 0.940]', '0.500 (hue)', '–')
    """
    if found is None:
        return ABSENT
    limits = None if found.low is None or found.high is None else [found.low, found.high]
    return bounded(found.value, limits) + (f" ({found.of})" if found.of else "")


def difference(found: Difference | None) -> str:
    """A signed value, with interval and p-value where versions are paired.

    >>> difference(Difference(0.01, -0.002, 0.022, 0.1)), difference(Difference(-0.01))
    ('+0.010 [-0.002, +0.022], p = 0.1', '-0.010')
    """
    if found is None:
        return ABSENT
    said = f"{found.value:+.3f}"
    if found.low is None or found.high is None or found.p is None:
        return said
    return f"{said} [{found.low:+.3f}, {found.high:+.3f}], {p_in_words(found.p)}"


def believed(found: Believed | None) -> str:
    """How many of the maps are believed, and on which fakes.

    >>> believed(Believed(19, 69, "restricted")), believed(Believed(0, 69, "none"))
    ('19 of 69 (restricted)', '0 of 69')
    """
    if found is None:
        return ABSENT
    said = f"{found.believed} of {found.maps}"
    return f"{said} ({found.scope})" if found.believed else said


def _turned(pair: Pair) -> list[str]:
    to_fake = sum(image.new >= 0 for image in pair.turned)
    total = len(pair.turned)
    of = f"{total:,} of {pair.images:,}"
    return [of, *(f"{n:,}" for n in (pair.righted, pair.spoilt, to_fake, total - to_fake))]


def lists(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Heading and sentences: settings, data and warnings that differ."""
    for name, params, data, (gone, new) in zip(
        found.names[1:], found.params, found.data, found.warnings, strict=True
    ):
        of = f" of `{name}`" if len(found.names) > 2 else ""
        if params:
            yield f"Settings{of}", _changes(params)
        if data:
            yield f"Data{of}", _changes(data)
        if gone or new:
            said = [f"gone: {sentence}" for sentence in gone]
            yield f"Warnings{of}", said + [f"new: {sentence}" for sentence in new]


def _changes(found: Sequence[Change]) -> list[str]:
    said = [_change(change) for change in found[:LISTED]]
    if len(found) > LISTED:
        said.append(f"and {counted(len(found) - LISTED, 'more change')}")
    return said


def _change(found: Change) -> str:
    key, _, values = str(found).partition(": ")
    return f"`{key}`: {values}"
