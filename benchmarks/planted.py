# SPDX-License-Identifier: Apache-2.0
"""Do maps that validation fakes chose keep their score on fakes that nobody has seen?

Run: python -m benchmarks.planted [--model resnet50] [--seed 1] [--singles 60] [--most 200]
The explain stage has validation fakes choose a map, and test fakes rate it. Here the maps that
metrics/explain/<model>.json names are taken as given, with gate and definitions, and are scored on
fakes rendered anew from another seed: of other persons, each with a single artefact, and some with
several. What can be believed is decided there too, as in the explain stage. The model is the one in
models/.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from facetell.common.files import read_json
from facetell.dataset.demo import packed_demo
from facetell.dataset.rendered import RenderedSet
from facetell.dataset.stored import read_manifest
from facetell.explain.test_set import TestSet
from facetell.explain.trust.planted_benchmark import planted_benchmark
from facetell.explain.trust.verdict import stored
from facetell.images.decoding import decode
from facetell.images.loading import Images, fit, to_unit
from facetell.models.detector import Detector
from facetell.models.inference import margin_of, margins, to_numpy

CPU = torch.device("cpu")
METRICS = ("rra", "rma", "pointing", "pointing_near")


def rendered(home: Path, seed: int, singles: int, size: int) -> tuple[Images, pd.DataFrame]:
    """Fresh test images, packed, and their manifest in the same order."""
    content = RenderedSet(
        seed=seed, size=size, train=2, valid=2, test=200,
        singles_per_kind=singles, artefacts_per_fake=3.25,
    )  # fmt: skip
    test = packed_demo(home, content, workers=2)["test"]
    manifest = read_manifest(home / "manifest")
    return Images(test, size), manifest[manifest["split"] == "test"].reset_index(drop=True)


def without(detector: Detector, images: Images, with_: np.ndarray) -> np.ndarray:
    """Margins with the twins, which carry no artefact, in the place of their images."""
    found = with_.copy()
    for index in range(len(images)):
        if twin := images.packed.twin(index):
            pixels = fit(decode(twin), images.size)[None]
            with torch.inference_mode():
                found[index] = to_numpy(margin_of(detector, to_unit(pixels, CPU)))[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--singles", type=int, default=60)
    parser.add_argument("--most", type=int, default=200)
    options = parser.parse_args()
    said = read_json(f"metrics/explain/{options.model}.json")["planted"]
    named = {kind: verdict.chosen for kind, verdict in stored(said).items() if verdict.chosen}
    methods = sorted({row["method"] for row in said["leaderboard"] if row["source"] == "trained"})
    detector = Detector.load(f"models/{options.model}.safetensors")
    card = detector.card
    with tempfile.TemporaryDirectory() as folder:
        images, test = rendered(Path(folder), options.seed, options.singles, card.image_size)
        with_ = margins(detector, images, CPU)
        tested = TestSet(
            detector=detector, images=images, manifest=test, threshold=card.threshold,
            margins=with_, margins_without=without(detector, images, with_), resamples=1000,
            seed=options.seed,
        )  # fmt: skip
        found = planted_benchmark(tested, methods=methods, most=options.most)
        tables = found.tables()
    for kind, verdict in found.verdicts(tables).items():
        print(f"{kind}: {verdict.claim}")
        if kind in named and kind in tables:
            compare(tables[kind], named[kind])


def compare(fresh: pd.DataFrame, chosen: Mapping[str, Any]) -> None:
    """Print how the map that validation fakes chose does on fresh fakes, and what knows nothing
    beside it."""
    same = (fresh["method"] == chosen["method"]) & (fresh["layer"] == chosen["layer"])
    print(f"  {chosen['method']} at {chosen['layer']}, RRA {chosen['score']:.3f} on the test set")
    for source in ("trained", "untrained"):
        row = fresh[same & (fresh["source"] == source)].iloc[0]
        numbers = ", ".join(
            f"{m} {row[m]:.3f} [{row[f'{m}_low']:.3f}, {row[f'{m}_high']:.3f}]" for m in METRICS
        )
        print(f"  {source}, n = {row['n']}: {numbers}, elsewhere {row['rra_elsewhere']:.3f}")
    blind = fresh[fresh["source"] == "baseline"].set_index("method")
    for name, row in blind.iterrows():
        print(
            f"  {name}: RRA {row['rra']:.3f}, of area {row['rra'] - row['area']:+.3f}, "
            f"of elsewhere {row['rra_excess']:+.3f}"
        )
    anew = fresh[fresh["source"] == "untrained"]
    print(
        f"  untrained, all {len(anew)} maps: within .06 of elsewhere "
        f"{(anew['rra_excess'].abs() <= 0.06).mean():.0%} (largest "
        f"{anew['rra_excess'].abs().max():.3f}), within .06 of area "
        f"{((anew['rra'] - anew['area']).abs() <= 0.06).mean():.0%}"
    )


if __name__ == "__main__":
    main()
