# SPDX-License-Identifier: Apache-2.0
"""What augmentation does to a detector under perturbations, and to where it looks.

Run: python -m benchmarks.augmentations [--model simplenet] [--seed 0] [--home FOLDER]
On photos: python -m benchmarks.augmentations --archive PATH.zip --size 128 --epochs 20
One network is trained three times by the recipe quick: with the augmentation flip alone, with blur
besides (what the UIUC report names as its future work), and with robust. It is scored and explained
as under dvc. Prints two tables in Markdown and writes their numbers to
docs/results/augmentations/SET.json, from which docs/results.md has them. What FOLDER holds
from before is not made again.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.workspace import packed, stage, workspace
from facetell.common.files import read_json, write_json
from facetell.report.markdown import markdown
from facetell.report.number_format import with_interval

AUGMENTS = {"flip": "[flip]", "flip, blur": "[flip,blur]", "flip, robust": "[flip,robust]"}
VARIANTS = ("blur_1", "blur_2", "jpeg_75", "jpeg_50", "noise_0.05", "resize_0.5")
METRICS = ("auc", "accuracy")
RESULTS = Path("docs/results/augmentations")


def overrides(options: argparse.Namespace) -> list[str]:
    """What is composed for all three trainings: the set, its size, the network and the seed."""
    chosen = [f"model={options.model}", f"train.seed={options.seed}", "data.suite=quick"]
    if options.archive:
        where = f'data.archive="{options.archive.resolve()}"'
        chosen += ["data=faces140k", "data.recipe=quick", where]
    if options.size:
        chosen.append(f"data.image_size={options.size}")
    if options.epochs:
        chosen.append(f"train.epochs={options.epochs}")
    return chosen


def measured(clone: Path, model: str, chosen: list[str], augment: str, kept: Path) -> Any:
    """Train, score and explain with one augmentation; what the tables need of the results."""
    if not kept.exists():
        stage(clone, "compose", *chosen, f"++models.{model}.quick.augment={augment}")
        packed(clone)
        for name in ("train", "predict", "score", "explain"):
            stage(clone, name, model)
        write_json(kept, relevant(clone, model))
    return read_json(kept)


def relevant(clone: Path, model: str) -> dict[str, Any]:
    """AUC and accuracy per variant with their intervals, and the region table of the fakes."""
    scored = read_json(clone / f"metrics/models/{model}.json")
    variants = {"clean": scored["clean"]} | {name: scored["variants"][name] for name in VARIANTS}
    looked = read_json(clone / f"metrics/explain/{model}.json")
    return {
        "device": scored["training"]["cost"]["device"],
        "images": {key: scored["clean"][key] for key in ("n_real", "n_fake")},
        "variants": {name: numbers(found, METRICS) for name, found in variants.items()},
        "suite": numbers(scored["robustness"], ("auc_mean",)),
        "regions": [row for row in looked.get("regions", []) if row["class"] == "fake"],
    }


def numbers(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Some numbers of an evaluation, and their intervals."""
    return {name: found[name] for name in names} | {
        "interval": {name: found["interval"][name] for name in names}
    }


def robustness_table(found: Mapping[str, Any]) -> str:
    """AUC and accuracy of each variant, by augmentation."""
    rows = []
    for metric, word in zip(METRICS, ("AUC", "accuracy"), strict=True):
        for variant in ("clean", *VARIANTS):
            cells = {
                name: with_interval(one["variants"][variant], metric) for name, one in found.items()
            }
            rows.append({"measure": f"{word}, {variant.replace('_', ' ')}"} | cells)
    means = {name: with_interval(one["suite"], "auc_mean") for name, one in found.items()}
    rows.insert(len(VARIANTS) + 1, {"measure": "AUC, mean of the quick suite"} | means)
    return markdown(pd.DataFrame(rows))


def region_table(found: Mapping[str, Any]) -> str:
    """Share of relevance over share of area in each region, of fakes, by augmentation."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, one in found.items():
        for row in one["regions"]:
            key = f"{row['method']} at {row['layer']}", row["region"]
            interval = {"ratio": [row["ratio_low"], row["ratio_high"]]}
            cell = with_interval({"ratio": row["ratio"], "interval": interval}, "ratio")
            rows.setdefault(key, {})[name] = cell
    table = [{"map": where, "region": region} | cells for (where, region), cells in rows.items()]
    return markdown(pd.DataFrame(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="simplenet")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--archive", type=Path, help="of the 140k set, in place of rendered faces")
    parser.add_argument("--size", type=int, help="px; as the recipe says if not said")
    parser.add_argument("--epochs", type=int, help="as the recipe says if not said")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    name = "faces140k" if options.archive else "demo"
    with tempfile.TemporaryDirectory() as temporary:
        clone = options.home or Path(temporary)
        workspace(clone)
        found = {}
        for shown, augment in AUGMENTS.items():
            kept = clone / f"{options.model}-{options.seed}-{shown.replace(', ', '-')}.json"
            found[shown] = measured(clone, options.model, overrides(options), augment, kept)
    seed = f"-seed{options.seed}" if options.seed else ""
    write_json(RESULTS / f"{name}{seed}.json", found, digits=4)
    print(robustness_table(found), region_table(found), sep="\n\n")


if __name__ == "__main__":
    main()
