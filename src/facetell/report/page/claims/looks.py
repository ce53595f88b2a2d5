# SPDX-License-Identifier: Apache-2.0
"""Where the best detector looks, and which map can be believed of which detector."""

from typing import Any

from facetell.explain.maps import INPUT
from facetell.explain.registry import METHODS
from facetell.explain.trust.verdict import Belief, Verdict, stored
from facetell.report.explanations import LOOKS, WITH_TRUTH
from facetell.report.page.claims.claim import Said
from facetell.report.page.inputs import Inputs


def looks(found: Inputs) -> list[Said]:
    """Face regions of the best, then which maps passed the test on planted artefacts."""
    if not found.explained:
        return [Said("No detector was explained.", "reading", "How to read this")]
    said = [*_regions(found)]
    planted = {
        model: stored(facts["planted"])
        for model, facts in found.explained.items()
        if "planted" in facts
    }
    if not planted:
        why = (
            "Whether its maps can be believed is **not known**: these images carry no planted "
            "artefacts that could tell. Do not show a map as evidence."
        )
        return [*said, Said(why, "looks", LOOKS, loud=True)]
    return [*said, *_believed(found.best, planted)]


def _regions(found: Inputs) -> list[Said]:
    facts = found.explained.get(found.best, {})
    rows = [row for row in facts.get("regions", []) if row["class"] == "fake" and "ratio" in row]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    if not methods:
        return []
    where: dict[str, list[str]] = {}
    for method in methods:
        first = max((row for row in rows if row["method"] == method), key=lambda row: row["ratio"])
        title = METHODS[method].title if method in METHODS else method
        at = "" if first["layer"] == INPUT else f" at `{first['layer']}`"
        where.setdefault(first["region"], []).append(f"{first['ratio']:.1f} times by {title}{at}")
    words = [f"the {region} ({', '.join(times)})" for region, times in where.items()]
    text = (
        f"In fakes `{found.best}` looks most at {' and '.join(words)}, compared with the "
        "region's area. That says where, not whether these maps can be believed."
    )
    return [Said(text, "looks", LOOKS)]


def _believed(best: str, planted: dict[str, dict[str, Verdict]]) -> list[Said]:
    """The verdicts on the maps of the best detector, the believed ones first."""
    if best not in planted:
        return []
    verdicts = planted[best]
    good = {kind: one for kind, one in verdicts.items() if one.chosen_is_believed}
    some = {kind: one for kind, one in verdicts.items() if one.believed and kind not in good}
    if not (good or some):
        return [
            Said(
                f"**No map of `{best}` can be believed**: "
                + " ".join(f"{kind}: {one.claim}" for kind, one in verdicts.items()),
                "belief", WITH_TRUTH, loud=True,
            )
        ]  # fmt: skip
    texts = [f"Believe **{named(one)}**{_score(one)}: {_reach(one, kind)}{_others(one)}"
             for kind, one in good.items()]  # fmt: skip
    texts += [f"On fakes with {_kind(kind)}: {one.claim}" for kind, one in some.items()]
    none = [kind for kind in verdicts if kind not in good and kind not in some]
    if none:
        texts[-1] += f" On fakes with {' and '.join(map(_kind, none))}, believe none of its maps."
    return [Said(text, "belief", WITH_TRUTH) for text in texts]


def named(verdict: Verdict) -> str:
    """The map that validation fakes chose, in words."""
    assert verdict.chosen is not None
    method, layer = verdict.chosen["method"], verdict.chosen["layer"]
    title = verdict.titles.get(method) or (METHODS[method].title if method in METHODS else method)
    return f"{title} at `{layer}`"


def _score(verdict: Verdict) -> str:
    chosen: Any = verdict.chosen
    what = "planted" if verdict.has_twins else "altered"
    return (
        f" (chosen on validation fakes, it finds {chosen['score']:.2f} [{chosen['low']:.2f}, "
        f"{chosen['high']:.2f}] of what was {what} in test fakes; guessing finds at most "
        f"{chosen['rival']:.2f})"
    )


def _others(verdict: Verdict) -> str:
    """How many maps are believed of all."""
    return (
        f" Of all {len(verdict.maps)} maps, {verdict.believed or 'none'} would be believed after "
        "correction for their number."
    )


def _reach(verdict: Verdict, kind: str) -> str:
    if verdict.scope == Belief.GENERAL:
        return f"on all fakes with {_kind(kind)}."
    decided = "whose verdict the artefacts decide" if verdict.has_twins else "called fake for sure"
    return f"only on the {verdict.passed} of {verdict.fakes} fakes with {_kind(kind)} {decided}."


def _kind(kind: str) -> str:
    words = {"single": "a single artefact", "several": "several artefacts"}
    return (words | {"altered": "altered pixels"}).get(kind, kind)
