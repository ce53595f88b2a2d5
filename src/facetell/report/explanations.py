"""What the explain stage found, in words: where detectors look, and which maps can be believed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.report.markdown import ABSENT, markdown

Found = Mapping[str, dict[str, Any]]  # metrics/explain/<model>.json by model
KINDS = ("single", "several")  # artefacts of a fake
MEASURES = {
    "deletion": "deletion",
    "insertion": "insertion",
    "road": "ROAD",
}


def explain_report(found: Found) -> str:
    """Markdown parts of the report; empty where no model was explained."""
    parts = _looks(found)
    for part in (_planted(found), _trials(found)):
        parts += part
    return "\n\n".join(parts) + "\n" if parts else ""


def _looks(found: Found) -> list[str]:
    said = [
        f"- {sentence}"
        for facts in found.values()
        for sentence in facts.get("what_to_look_for", [])
        if " fake images" in sentence
    ]
    parts = ["## What they look at"]
    parts.append(
        "Relevance that speaks for an image's own class, by region of the aligned face, against "
        "the region's share of the picture. It says where a detector looks, not whether it is "
        "right to, and of one that tells nothing apart it says nothing. Below, only fakes; "
        "metrics/explain/<model>.json has real images as well."
    )
    if said:
        parts.append("\n".join(said))
    rows = [
        {"model": model, "map": name, "p": f"{test['p']:.3f}"}
        | {"cells that differ": f"{test['cells_significant']} of {test['cells']}"}
        for model, facts in found.items()
        for name, test in facts["class_means"].items()
    ]
    if rows:
        parts.append(
            "Mean maps of fake and of real test images: do they differ? Permutation test by "
            "person, family-wise over the cells of the map (plots/explain/<model>/class_means.png):"
        )
        parts.append(markdown(pd.DataFrame(rows)))
    return parts if said or rows else []


def _planted(found: Found) -> list[str]:
    """The best map of each model against maps that know nothing."""
    rows = []
    for model, facts in found.items():
        if "planted" not in facts:
            continue
        gate, told = facts["planted"]["gate"], facts["planted"]["fakes_told"]
        board = pd.DataFrame(facts["planted"]["leaderboard"])
        for kind in KINDS:
            row = {"model": model, "fakes": kind, "told by them": told.get(kind, 0)}
            row["accuracy with, without"] = (
                f"{gate['accuracy_with']:.2f}, {gate['accuracy_without']:.2f}"
            )
            own = board[board["fakes"] == kind] if len(board) else board
            rows.append(row | (_best(own) if len(own) else {}))
    if not rows:
        return []
    table = pd.DataFrame(rows).fillna(ABSENT)
    return [
        "## Which maps find what was planted",
        "Relevance rank accuracy (RRA): with K planted pixels, the share of the K most relevant "
        "that are planted; 1 is perfect. Only fakes that the model calls fake with P of at least "
        "0.95 and whose twin without artefacts it calls real: there the artefact is what it uses. "
        "`elsewhere` is the same map with masks of other persons' fakes, which is what a map "
        "scores by pointing at faces in general; `untrained` the same map of the network with "
        "random weights. The best of all maps is chosen on the images that it is rated on, so it "
        "is a little too good. `accuracy with, without` is on fakes with several artefacts and on "
        "their twins. All maps: plots/compare/leaderboard_*.png, metrics/explain/<model>.json.",
        markdown(table),
    ]


def _best(board: pd.DataFrame) -> dict[str, str]:
    trained = board[board["source"] == "trained"]
    best = trained.loc[trained["rra"].idxmax()]
    same = (board["method"] == best["method"]) & (board["layer"] == best["layer"])
    untrained = board[(board["source"] == "untrained") & same]
    blind = board[board["source"] == "baseline"].set_index("method")["rra"]
    saliency = trained[trained["method"] == "saliency"]
    return {
        "best map": f"{best['method']} at {best['layer']}",
        "n": f"{int(best['n'])}",
        "RRA": f"{best['rra']:.3f} [{best['rra_low']:.3f}, {best['rra_high']:.3f}]",
        "elsewhere": f"{best['rra_elsewhere']:.3f}",
        "untrained": f"{untrained['rra'].iloc[0]:.3f}" if len(untrained) else ABSENT,
        "saliency": f"{saliency['rra'].iloc[0]:.3f}" if len(saliency) else ABSENT,
        "centre, edges, random": ", ".join(
            f"{blind[n]:.3f}" for n in ("centre", "edges", "random")
        ),
        "area": f"{best['area']:.3f}",
    }


def _trials(found: Found) -> list[str]:
    """Faithfulness against planted truth, stability and sanity."""
    tried = {model: facts["trials"] for model, facts in found.items() if "trials" in facts}
    if not tried:
        return []
    parts = [
        "## Whether maps deserve belief without planted truth",
        "On a few fakes and a few layers of each model (`explain.suite=full` has more). First, how "
        "alike measures of faithfulness and planted truth (RRA) rank the maps: Kendall's tau, 1 "
        "the same order, 0 none, with its 95% interval by person.",
    ]
    agreement = [
        {"model": model, "images": str(trial["images"])}
        | {
            title: f"{row['tau']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
            for row in trial["agreement"]
            if (title := MEASURES.get(row["measure"])) and "tau" in row and "low" in row
        }
        for model, trial in tried.items()
        if trial["agreement"]
    ]
    if agreement:
        parts.append(markdown(pd.DataFrame(agreement).fillna(ABSENT)))
    else:
        parts.append("No model has enough fakes that it tells by what was planted.")
    parts.append(
        "Then, averaged over those layers, each method's rank correlation with the map of the "
        "same network after all its weights were drawn anew (sanity: should be near 0), the "
        "largest change under noise of 5 grey levels (stability: 0 is best, 1.4 unrelated), and "
        "the change under a blur of 2 px, beside which the margin changes by as much:"
    )
    rows = []
    for model, trial in tried.items():
        stable, sane = pd.DataFrame(trial["stability"]), pd.DataFrame(trial["sanity"])
        last = sane[sane["part"] == sane["part"].iloc[-1]]
        for method, own in stable.groupby("method", sort=False):
            anew = last[last["method"] == method]
            rows.append(
                {
                    "model": model,
                    "method": method,
                    "after randomisation": _mean(anew, "spearman"),
                    "largest change": _mean(own, "max_sensitivity"),
                    "change by blur": _mean(own, "blur_change"),
                    "margin by blur": _mean(own, "margin_change", "{:+.2f}"),
                }
            )
    return [*parts, markdown(pd.DataFrame(rows))]


def _mean(table: pd.DataFrame, column: str, form: str = "{:.2f}") -> str:
    if column not in table or table[column].isna().all():
        return ABSENT
    return form.format(table[column].mean())
