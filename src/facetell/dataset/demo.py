# SPDX-License-Identifier: Apache-2.0
"""The rendered set, ready to learn from: what the stages fetch, split and pack do, in one call."""

from pathlib import Path

from facetell.common.labels import SPLITS
from facetell.dataset.build import build
from facetell.dataset.layouts import rows
from facetell.dataset.rendered import RenderedSet, write_archive
from facetell.dataset.splits import Splitting
from facetell.dataset.stored import chunks, write_manifest
from facetell.images.opening import open_archive
from facetell.images.packed import Packed
from facetell.images.packing import NEEDED, pack

SMALL = RenderedSet(seed=0, size=64, train=16, valid=8, test=8, singles_per_kind=0)


def packed_demo(
    folder: str | Path, content: RenderedSet = SMALL, *, workers: int = 1
) -> dict[str, Packed]:
    """Render a set into ``folder``, and open its packed splits by name.

    The images are drawn, not photos, and the fakes among them have artefacts planted on purpose.
    Beside the folders ``train``, ``valid`` and ``test`` there is ``manifest`` with a row per image.
    The same content gives the same bytes.

    >>> sets = packed_demo("demo")
    >>> {split: len(packed) for split, packed in sets.items()}
    {'train': 16, 'valid': 8, 'test': 8}
    """
    folder = Path(folder)
    raw = folder / "raw"
    (raw / "demo").mkdir(parents=True, exist_ok=True)
    write_archive(raw / "demo/demo.zip", content, workers=workers, progress=False)
    files = {"demo": raw / "demo"}
    with open_archive(files["demo"]) as archive:
        tables = {"demo": rows("demo", archive)}
    splitting = Splitting(valid=0, test=0, seed=content.seed)
    write_manifest(folder / "manifest", build(tables, files, splitting, workers=workers).manifest)
    for split in SPLITS:
        pack(chunks(folder / "manifest", NEEDED, split), files, folder / split)
    return {split: Packed(folder / split) for split in SPLITS}
