# SPDX-License-Identifier: Apache-2.0
"""What the explain stage found, in words: where detectors look, and which maps can be believed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.explain.registry import METHODS
from facetell.explain.trust.planted import GUESSED, LEAST, RECOGNISED
from facetell.explain.trust.verdict import Belief, Verdict, stored
from facetell.metrics import intervals
from facetell.metrics.paired_tests import p_in_words
from facetell.report.markdown import ABSENT, Block, Heading, in_markdown

Stored = Mapping[str, dict[str, Any]]  # metrics/explain/<model>.json by model
LOOKS = "What they look at"
WITH_TRUTH = "Which maps find what was planted"
WITHOUT_TRUTH = "Whether maps can be believed without planted truth"
MEASURES = {
    "deletion": "deletion",
    "insertion": "insertion",
    "road": "ROAD",
}


def explain_report(explained: Stored) -> str:
    """Markdown parts of the report; empty where no model was explained."""
    parts = explained_blocks(explained)
    return in_markdown(parts) + "\n" if parts else ""


def explained_blocks(explained: Stored) -> list[Block]:
    """The same as blocks of a report."""
    return [
        *where_they_look(explained),
        *replaced_regions(explained),
        *planted_truth(explained),
        *without_truth(explained),
    ]


def where_they_look(explained: Stored) -> list[Block]:
    """Where the maps of fakes lie on the face, and whether those of real images differ."""
    sentences = [
        said["sentence"]
        for facts in explained.values()
        for said in facts.get("looks_at", [])
        if said["class"] == "fake"
    ]
    parts: list[Block] = [
        Heading(LOOKS),
        "How much of the relevance that speaks for fake lies in each region of the aligned face, "
        "compared with the region's share of the picture. This says where a detector looks, not "
        "whether it is right to look there; for a detector that cannot tell fakes from real faces "
        "it means nothing. Only fakes are listed; metrics/explain/<model>.json also has the real "
        "images.",
    ]
    if sentences:
        parts.append(tuple(sentences))
    rows = [
        {"model": model, "map": name, "p": f"{test['p']:.3f}"}
        | {"cells that differ": f"{test['cells_significant']} of {test['cells']}"}
        for model, facts in explained.items()
        for name, test in facts["class_means"].items()
    ]
    if rows:
        parts.append(
            "Do the mean maps of fake and of real test images differ? Permutation test by person, "
            "with the family-wise error over all cells of the map controlled "
            "(plots/explain/<model>/class_means.png):"
        )
        parts.append(pd.DataFrame(rows))
    return parts if sentences or rows else []


def replaced_regions(explained: Stored) -> list[Block]:
    """Whether maps find the regions that an expert replaced, for sets that say which."""
    rows = [
        {"model": model, "method": row["method"], "layer": row["layer"], "n": f"{row['n']}"}
        | {part: _interval(row, part) for part in ("replaced", "kept", "difference")}
        | {"p": p_in_words(row["p"]).removeprefix("p ").removeprefix("= ")}
        | {"believed on rendered faces": _elsewhere(facts, row["method"], row["layer"])}
        for model, facts in explained.items()
        for row in facts.get("replaced", [])
    ]
    if not rows:
        return []
    return [
        Heading("Whether they look at what was replaced"),
        "Relevance that speaks for fake in those of the eyes, nose and mouth that were replaced, "
        "and in those of the same face that were kept, each in multiples of its share of the area: "
        "an even map has 1. A map that finds what was replaced has more there than in what was "
        "kept. Only fakes that the model calls fake, and of which some parts were kept; "
        f"{intervals.in_words()} intervals by person; p of no difference by the largest statistic "
        "of a studentised bootstrap, corrected for the number of maps of a model. Faces that are "
        "not aligned as FFHQ's fit the outlines only roughly, which makes differences smaller. "
        "The last column says what planted artefacts said of the same map, where rendered faces "
        "are among the images.",
        pd.DataFrame(rows),
    ]


def _elsewhere(facts: Mapping[str, Any], method: str, layer: str) -> str:
    """Whether a map is believed on rendered faces, by what was planted in them."""
    verdicts = stored(facts["planted"]) if "planted" in facts else {}
    said = [
        f"{kind}: {'yes' if one.belief_of(method, layer) != Belief.NONE else 'no'}"
        for kind, one in verdicts.items()
        if one.has_twins and one.scope != Belief.NONE
    ]
    return ", ".join(said) or ABSENT


def planted_truth(explained: Stored) -> list[Block]:
    """The map that validation fakes chose, of each model, against maps that know nothing."""
    rows, claims = [], []
    for model, facts in explained.items():
        if "planted" not in facts:
            continue
        board = pd.DataFrame(facts["planted"]["leaderboard"])
        for kind, verdict in stored(facts["planted"]).items():
            own = board[board["fakes"] == kind] if len(board) else board
            rows.append({"model": model, "fakes": kind} | _row(verdict, own))
            if verdict.believed or verdict.chosen_is_believed:
                claims.append(f"{model}, {kind}: {verdict.claim}")
    if not rows:
        return []
    parts: list[Block] = [
        Heading(WITH_TRUTH),
        "Relevance rank accuracy (RRA): with K planted pixels, the share of the K most relevant "
        "pixels that are planted; 1 is perfect. A fake passes the gate if the model calls it fake "
        f"with P of at least {RECOGNISED} and calls its twin without artefacts real: there the "
        "artefacts decide the verdict, and maps are scored only on these fakes. The map is chosen "
        "on validation fakes, which are of other persons, and only rated on test fakes, so its "
        "score is not flattered. A map is believed if it leads everything that knows nothing of "
        "the model (chance, the blind maps, the untrained network, and itself with other persons' "
        "masks), each by a 97.5% bound of the difference on the same images, by person. For `maps "
        "believed` these bounds hold for all maps at once (largest statistic of a studentised "
        "bootstrap, Westfall and Young 1993); the chosen map, the only one that is asked, needs no "
        "correction. How far that reaches depends on `accuracy with, "
        "without`, on all fakes of the kind and on their twins: with at least "
        f"{RECOGNISED} with artefacts and within {GUESSED} of one half without, it holds in "
        "general; otherwise only for the fakes that pass, since the "
        f"others were never looked at. With fewer than {LEAST} of them nothing is said.",
    ]
    if claims:
        parts.append(tuple(claims))
    parts.append(
        "`elsewhere` is the same map scored with the masks of other persons' fakes, which is what "
        "a map gets by pointing at faces in general; `untrained` is the same map of the network "
        "with random weights; `RRA on validation` is what chose the map, in brackets the number of "
        "fakes, and their kind where it is another. All maps: plots/compare/leaderboard_*.png, "
        "metrics/explain/<model>.json."
    )
    if any(row["fakes"] == "altered" for row in rows):
        parts.append(
            "Fakes with `altered` pixels have a mask, but no twin without what was altered: that "
            "it decides their verdict is not known, and belief never reaches beyond those scored."
        )
    return [*parts, pd.DataFrame(rows).fillna(ABSENT)]


def _row(verdict: Verdict, board: pd.DataFrame) -> dict[str, str]:
    """One model's maps on one kind of fakes."""
    gate = verdict.gate
    row = {
        "pass the gate": f"{verdict.passed} of {verdict.fakes}",
        "accuracy with, without": ", ".join(
            f"{gate[name]:.2f}" if name in gate else ABSENT
            for name in ("accuracy_with", "accuracy_without")
        ),
    }
    if verdict.scope == Belief.NONE:
        return row
    row["maps believed"] = f"{verdict.believed} of {len(verdict.maps)}"
    reach = "all" if verdict.scope == Belief.GENERAL else f"the {verdict.passed} that pass"
    if verdict.chosen is None:
        return row | {"chosen map": "none" if verdict.choice else ABSENT}
    believed = reach if verdict.chosen_is_believed else "none"
    return row | _chosen(verdict, board) | {"chosen map believed on": believed}


def _chosen(verdict: Verdict, board: pd.DataFrame) -> dict[str, str]:
    """The chosen map's numbers, and those of what it is compared with."""
    assert verdict.chosen is not None
    assert verdict.choice is not None
    by_map = board.set_index(["source", "method", "layer"])
    method, layer = verdict.chosen["method"], verdict.chosen["layer"]
    chosen, choice = by_map.loc["trained", method, layer], verdict.choice
    levels = verdict.levels
    number = f"{choice.scored}" if choice.kind == verdict.kind else f"{choice.scored} {choice.kind}"
    return {
        "chosen map": f"{method} at {layer}",
        "RRA on validation": f"{choice.score:.3f} ({number})",
        "n": f"{int(chosen['n'])}",
        "RRA on test": _interval(chosen, "rra", 3),
        "elsewhere": f"{chosen['rra_elsewhere']:.3f}",
        "untrained": _rra(by_map, ("untrained", method, layer)),
        "saliency": _rra(by_map, ("trained", "saliency", "input")),
        "centre, edges, random": ", ".join(
            f"{levels[n]:.3f}" for n in ("centre", "edges", "random")
        ),
        "area": f"{chosen['area']:.3f}",
    }


def _rra(by_map: pd.DataFrame, key: tuple[str, str, str]) -> str:
    return f"{by_map.loc[key, 'rra']:.3f}" if key in by_map.index else ABSENT


def without_truth(explained: Stored) -> list[Block]:
    """Faithfulness against planted truth, stability and sanity."""
    tried = {model: facts["trials"] for model, facts in explained.items() if "trials" in facts}
    if not tried:
        return []
    agreement, stability = _agreement(tried), _stability(tried)
    warned = [METHODS[row["method"]].caveat for row in stability if row["method"] in METHODS]
    return [
        Heading(WITHOUT_TRUTH),
        "On a few fakes and a few layers of each model (`explain.suite=full` has more). First, do "
        "measures of faithfulness, which need no truth, rank the maps as planted truth (RRA) does? "
        "Kendall's tau: 1 is the same order, 0 no relation; where the "
        f"{intervals.in_words()} interval by person contains 0, no agreement is certain.",
        pd.DataFrame(agreement).fillna(ABSENT)
        if agreement
        else "No model has two maps to rank, and enough fakes that pass the gate, to compare with "
        "planted truth.",
        "Then, averaged over those layers: each method's rank correlation with the map of the same "
        "network after all its weights were drawn anew (sanity: should be near 0), the largest "
        "relative change of the map under noise of 5 grey levels (stability: 0 is best, 1.4 is "
        "what unrelated maps have), and its change under a blur of 2 px, with the change of the "
        "margin beside it:",
        pd.DataFrame(stability),
        *dict.fromkeys(filter(None, warned)),
    ]


def _agreement(tried: Mapping[str, dict[str, Any]]) -> list[dict[str, str]]:
    """A row per model with planted truth: how measures of faithfulness agree with it."""
    return [
        {"model": model, "images": str(trial["images"])}
        | {
            title: f"{row['tau']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
            for row in trial["agreement"]
            if (title := MEASURES.get(row["measure"])) and "tau" in row and "low" in row
        }
        for model, trial in tried.items()
        if trial["agreement"]
    ]


def _stability(tried: Mapping[str, dict[str, Any]]) -> list[dict[str, str]]:
    """A row per model and method, averaged over layers."""
    rows = []
    for model, trial in tried.items():
        stable, sane = pd.DataFrame(trial["stability"]), pd.DataFrame(trial["sanity"])
        last = sane[sane["part"] == sane["part"].iloc[-1]]
        for method, own in stable.groupby("method", sort=False):
            anew = last[last["method"] == method]
            rows.append(
                {
                    "model": model,
                    "method": str(method),
                    "after randomisation": _mean(anew, "spearman"),
                    "largest change": _mean(own, "max_sensitivity"),
                    "change by blur": _mean(own, "blur_change"),
                    "margin by blur": _mean(own, "margin_change", "{:+.2f}"),
                }
            )
    return rows


def _interval(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """A number with its interval."""
    if name not in row:
        return ABSENT
    numbers = [f"{row[f'{name}{end}']:.{digits}f}" for end in ("", "_low", "_high")]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def _mean(table: pd.DataFrame, column: str, form: str = "{:.2f}") -> str:
    if column not in table or table[column].isna().all():
        return ABSENT
    return form.format(table[column].mean())
