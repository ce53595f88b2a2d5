# SPDX-License-Identifier: Apache-2.0
"""The rendered set, ready to learn from: what the stages fetch, split and pack do, in one call."""

from pathlib import Path

from facetell.common.labels import SPLITS
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.rendered import RenderedSet, write_archive
from facetell.dataset.splits import Splitting
from facetell.images.archive import open_archive
from facetell.images.packed import Packed
from facetell.images.packing import pack

SMALL = RenderedSet(seed=0, size=64, train=16, valid=8, test=8, singles_per_kind=0)


def packed_demo(
    folder: str | Path, content: RenderedSet = SMALL, *, workers: int = 1
) -> dict[str, Packed]:
    """Render a set into ``folder``, and open its packed splits by name.

    The images are drawn, not photos, and the fakes among them have artefacts planted on purpose.
    Beside ``{train,valid,test}.arrow`` the folder gets ``manifest.parquet`` with a row per image.
    The same content gives the same bytes.

    >>> sets = packed_demo("demo")
    >>> {split: len(packed) for split, packed in sets.items()}
    {'train': 16, 'valid': 8, 'test': 8}
    """
    folder = Path(folder)
    raw = folder / "raw"
    (raw / "demo").mkdir(parents=True, exist_ok=True)
    write_archive(raw / "demo/demo.zip", content, workers=workers, progress=False)
    with open_archive(raw / "demo") as archive:
        splitting = Splitting(valid=0, test=0, seed=content.seed)
        tables, files = {"demo": rows("demo", archive)}, {"demo": raw / "demo"}
        manifest = build(tables, files, splitting, workers=workers).manifest
        manifest.to_parquet(folder / "manifest.parquet")
        for split in SPLITS:
            part = manifest[manifest["split"] == split].reset_index(drop=True)
            pack(part, {"demo": archive}, folder / f"{split}.arrow")
    return {split: Packed(folder / f"{split}.arrow") for split in SPLITS}
