# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/results.md on real photos, from what ``benchmarks.photos`` has kept.

docs/results/TABLE/MODEL.json holds the scores of one detector as metrics/models has them, the
settings, and what the images give away; ``note`` says where something is wanting.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from facetell.common.files import read_json
from facetell.evaluation.robustness import BANDS, bounded
from facetell.images.spectra import NETWORK
from facetell.report.markdown import ABSENT, markdown
from facetell.report.number_format import with_interval
from facetell.report.published_tables import OurData, tables
from facetell.report.sections.beside import beside_published

RESULTS = Path("docs/results")
REPORTED = {  # of the UIUC report's tables, and two more that break most detectors
    "clean": "clean",
    "grayscale": "grayscale",
    "hue": "hue",
    "blur_1": "blur 1 px",
    "blur_2": "blur 2 px",
    "crop": "crop",
    "jpeg_75": "JPEG 75",
    "jpeg_50": "JPEG 50",
    "resize_0.5": "half the size",
    "noise_0.05": "noise .05",
}
TRIVIA = ("file_size", "jpeg_quality", "noise", "all_together", "spectral_linear")
SETS = {"faces140k": "140k originals", "folder": "face swaps"}
NOT_RUN = "Not run yet: `--models swin_64 sepnet_64 rcnn_64` trains them."
Results = dict[str, dict[str, Any]]


def results(table: str) -> Results:
    """What was kept of each detector, by name; the best by validation first, the baseline last."""
    found = {path.stem: read_json(path) for path in (RESULTS / table).glob("*.json")}
    order = sorted(found, key=lambda name: (name == NETWORK, -validated(found[name]), name))
    return {name: found[name] for name in order}


def validated(kept: dict[str, Any]) -> float:
    """AUC on validation images; 0 where none was kept."""
    return float(kept["scores"]["training"].get("validation", {}).get("auc", 0))


def chosen(table: str) -> set[str]:
    """The best by validation of those from published weights, and of those from random ones."""
    best: dict[bool, str] = {}
    for name, kept in results(table).items():
        if validated(kept) and name != NETWORK:
            best.setdefault(bool(kept["scores"]["training"]["recipe"].get("pretrained")), name)
    return set(best.values())


def detectors(table: str) -> str:
    """How each detector of one set does on its test images."""
    rows, best = [], chosen(table)
    for name, kept in results(table).items():
        scores = kept["scores"]
        recipe, cost = (scores["training"][part] for part in ("recipe", "cost"))
        hard, start = scores.get("robustness", {}), _start(name, recipe)
        rows.append(
            {
                "detector": f"**`{name}`**" if name in best else f"`{name}`",
                "start": start,
                "input, epochs, rate": _recipe(name, recipe),
                "validation AUC": f"{validated(kept):.4f}" if validated(kept) else ABSENT,
                "test AUC": with_interval(scores["clean"], "auc"),
                "accuracy": with_interval(scores["clean"], "accuracy"),
                "AUC, perturbed": with_interval(hard, "auc_mean") if hard else ABSENT,
                "worst": f"{hard['auc_worst']:.3f}, {hard['worst']}" if hard else ABSENT,
                "trained on": cost["device"],
            }
        )
    return markdown(pd.DataFrame(rows))


def summary() -> str:
    """For the README: the chosen detectors of the 140k set."""
    rows = []
    for name in (found := results("faces140k")):
        if name in chosen("faces140k"):
            scores = found[name]["scores"]
            recipe, blurred = scores["training"]["recipe"], scores.get("variants", {}).get("blur_2")
            rows.append(
                {
                    "detector": f"`{name}`",
                    "start": _start(name, recipe),
                    "input, epochs, rate": _recipe(name, recipe),
                    "AUC": with_interval(scores["clean"], "auc"),
                    "accuracy": with_interval(scores["clean"], "accuracy"),
                    "accuracy after a blur of 2 px": with_interval(blurred, "accuracy")
                    if blurred
                    else ABSENT,
                }
            )
    return markdown(pd.DataFrame(rows))


def perturbed(table: str, number: str) -> Callable[[], str]:
    """``auc`` or ``accuracy`` of each detector on perturbed test images."""

    def made() -> str:
        rows = []
        for name, kept in results(table).items():
            scores = kept["scores"]
            if "variants" not in scores:
                continue
            versions = {"clean": scores["clean"]} | scores["variants"]
            shown = {
                title: with_interval(versions[key], number)
                for key, title in REPORTED.items()
                if key in versions
            }
            rows.append({"detector": f"`{name}`"} | shown)
        return markdown(pd.DataFrame(rows).fillna(ABSENT))

    return made


def frequencies(table: str) -> str:
    """What each detector loses in AUC when an eighth of the frequencies is taken away."""
    rows = []
    for name, kept in results(table).items():
        bands = {
            key: found
            for key, found in kept["scores"].get("variants", {}).items()
            if found.get("perturbation") == BANDS
        }
        if bands:
            shown = {f"band {key.rsplit('_', 1)[1]}": _drop(found) for key, found in bands.items()}
            rows.append({"detector": f"`{name}`"} | shown)
    return markdown(pd.DataFrame(rows))


def encoders(*sets: str) -> str:
    """The same detectors on one set as published and encoded anew."""
    both = {name: results(name) for name in sets}
    rows = []
    for name in both[sets[0]]:
        row = {"detector": f"`{name}`"}
        for title, found in zip(("as published", "encoded alike"), both.values(), strict=True):
            clean = found.get(name, {}).get("scores", {}).get("clean", {})
            row[f"AUC, {title}"] = with_interval(clean, "auc")
            row[f"accuracy, {title}"] = with_interval(clean, "accuracy")
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def trivia(*sets: str) -> str:
    """What the files give away without a look at the faces."""
    rows: dict[str, list[str]] = {}
    for name in sets:
        found = next(iter(results(name).values()))["data"]["trivia"]
        for feature in TRIVIA:
            one = found.get(feature)
            said = f"{one['auc']:.2f} [{one['low']:.2f}, {one['high']:.2f}]" if one else ABSENT
            rows.setdefault(feature.replace("_", " "), []).append(said)
    named = [{"AUC of the label from": feature} | dict(zip(sets, cells, strict=True))
             for feature, cells in rows.items()]  # fmt: skip
    return markdown(pd.DataFrame(named))


def crossed(**sets: str) -> str:
    """Trained on one set, tested on each: AUC by what was trained, on the sets of the mix."""
    rows = []
    for table, own in sets.items():
        for name, kept in results(table).items():
            parts = kept["scores"]["sets"]
            rows.append(
                {"trained on": own, "detector": f"`{name}`"}
                | {
                    f"{title} on {SETS.get(part, part)}": with_interval(found, number)
                    for number, title in {"auc": "AUC", "accuracy": "accuracy"}.items()
                    for part, found in parts.items()
                }
            )
    return markdown(pd.DataFrame(rows).fillna(ABSENT))


def beside(table: str) -> str:
    """S0's tables beside ours, for the networks that it has and that were trained here."""
    found, logs, audited = {}, [], None
    for name, kept in results(table).items():
        if "learning" in kept:
            own = name.rsplit("_", 1)[0]
            found[own] = kept["scores"]
            logs.append(pd.DataFrame(kept["learning"]).assign(model=own))
            audited = kept["data"]
    if audited is None:
        return NOT_RUN
    ours = OurData(table, table, sum(audited["counts"]["train"].values()))
    made = tables(found, pd.concat(logs), ours)
    shown = {key: made[key] for key in ("accuracy", "perturbations") if key in made}
    shown = {key: frame[frame["published_as"].notna()] for key, frame in shown.items()}
    blocks = beside_published({key: frame for key, frame in shown.items() if len(frame)})
    frames = [one for one in blocks if isinstance(one, pd.DataFrame)]
    frames[1:] = [one.drop(columns="what differs") for one in frames[1:]]  # the first has said it
    return "\n\n".join(map(markdown, frames)) or NOT_RUN


def regions(table: str) -> str:
    """How much each region weighs in the maps, over its share of the area."""
    rows = []
    for name, kept in results(table).items():
        found = pd.DataFrame(kept.get("explain", {}).get("regions", []))
        if found.empty:
            continue
        for (method, layer, label), part in found.groupby(["method", "layer", "class"], sort=False):
            ratios = part.sort_values("area", ascending=False)
            shown = {
                row["region"]: bounded(row["ratio"], (row["ratio_low"], row["ratio_high"]))
                for _, row in ratios.iterrows()
            }
            maps = f"{method} at {layer}, {label} (n = {part['n'].max()})"
            rows.append({"detector": f"`{name}`", "maps": maps} | shown)
    return markdown(pd.DataFrame(rows).fillna(ABSENT)) if rows else "Nothing was explained."


def looks(table: str) -> str:
    """The same in sentences, and whether fakes and photos differ."""
    said = []
    for kept in results(table).values():
        explained = kept.get("explain", {})
        said += [f"- {one['sentence']}" for one in explained.get("looks_at", [])]
    return "\n".join(said) or "Nothing was explained."


def _start(name: str, recipe: dict[str, Any]) -> str:
    if name == NETWORK:
        return ABSENT
    if not recipe.get("pretrained"):
        return "random"
    return "ImageNet, frozen" if recipe.get("frozen") else "ImageNet"


def _recipe(name: str, recipe: dict[str, Any]) -> str:
    if name == NETWORK:
        return "linear, on the spectrum"
    return f"{recipe['image_size']} px, {recipe['epochs']}, {recipe['lr']:g}"


def _drop(found: dict[str, Any]) -> str:
    drop = found.get("drop", {}).get("auc")
    limits = found.get("drop_interval", {}).get("auc")
    if drop is None or limits is None:
        return ABSENT
    return f"{drop:+.3f} [{limits[0]:+.3f}, {limits[1]:+.3f}]"


BLOCKS: dict[str, Callable[[], str]] = {
    "photos-summary": summary,
    "photos-detectors": lambda: detectors("faces140k"),
    "photos-auc": perturbed("faces140k", "auc"),
    "photos-accuracy": perturbed("faces140k", "accuracy"),
    "photos-frequencies": lambda: frequencies("faces140k"),
    "photos-beside": lambda: beside("faces140k"),
    "photos-regions": lambda: regions("faces140k"),
    "photos-looks": lambda: looks("faces140k"),
    "swaps-detectors": lambda: detectors("swaps"),
    "swaps-encoders": lambda: encoders("swaps", "swaps_harmonised"),
    "swaps-trivia": lambda: trivia("swaps", "swaps_harmonised"),
    "photos-crossed": lambda: crossed(
        faces140k_on_swaps=SETS["faces140k"], swaps_on_faces140k=SETS["folder"]
    ),
}
