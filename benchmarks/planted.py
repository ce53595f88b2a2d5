"""Do maps that won on the test images win on fakes that nobody has seen?

Run: python -m benchmarks.planted [--model resnet50] [--seed 1] [--singles 60] [--most 200]
The explain stage names the best of many maps on the images that it is rated on. Here the maps that
metrics/explain/<model>.json names are taken as given, with gate and definitions, and are scored on
fakes rendered anew from another seed: of other persons, each with a single artefact, and some with
several. The model is the one in models/.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import pipeline  # noqa: F401  (puts this checkout's library first)
from facetell.common.files import read_json
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.rendered import write_archive
from facetell.explain.survey.survey import planted
from facetell.images.archive import open_archive
from facetell.images.decoding import decode
from facetell.images.loading import Images, fit, to_unit
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.models.detector import Detector, load
from facetell.models.inference import margin_of, margins, to_numpy

CPU = torch.device("cpu")
KINDS = ("single", "several")
METRICS = ("rra", "rma", "pointing", "pointing_near")


def rendered(home: Path, seed: int, singles: int, size: int) -> tuple[Images, pd.DataFrame]:
    """Fresh test images, packed, and their manifest in the same order."""
    raw = home / "raw/demo"
    raw.mkdir(parents=True)
    write_archive(
        raw / "demo.zip", seed=seed, size=size, train=2, valid=2, test=200,
        singles_per_kind=singles, artefacts_per_fake=3.25,
    )  # fmt: skip
    with open_archive(raw) as archive:
        tables = {"demo": rows("demo", archive)}
        manifest = build(tables, home / "raw", valid=0, test=0, seed=0).manifest
        test = manifest[manifest["split"] == "test"].reset_index(drop=True)
        pack(test, {"demo": archive}, home / "test.arrow")
    return Images(Packed(home / "test.arrow"), size), test


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
    said = read_json(f"metrics/explain/{options.model}.json")
    board = pd.DataFrame(said["planted"]["leaderboard"])
    detector, card = load(f"models/{options.model}.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        images, test = rendered(Path(folder), options.seed, options.singles, card.image_size)
        with_ = margins(detector, images, CPU)
        methods = sorted({*board.loc[board["source"] == "trained", "method"]})
        found = planted(
            detector, images, card.threshold, test, with_, without(detector, images, with_),
            methods=methods, most=options.most, seed=options.seed, device=CPU,
        )  # fmt: skip
        table = found.table(resamples=1000, seed=0)
    print({name: len(fakes) for name, fakes in found.fakes.items()}, "fakes pass the gate")
    for kind in KINDS:
        own = board[(board["fakes"] == kind) & (board["source"] == "trained")]
        fresh = table[table["fakes"] == kind] if len(table) else table
        if not len(own) or not len(fresh):
            print(f"{kind}: too few fakes")
            continue
        best = own.loc[own["rra"].idxmax()]
        same = (fresh["method"] == best["method"]) & (fresh["layer"] == best["layer"])
        print(f"{kind}: {best['method']} at {best['layer']}, RRA {best['rra']:.3f} on the test set")
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
