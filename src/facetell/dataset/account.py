# SPDX-License-Identifier: Apache-2.0
"""How a set was understood, in numbers that add up to its files, and what to beware of."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.common.labels import CLASSES, SPLITS
from facetell.dataset import leaks as gate
from facetell.dataset.build import Dataset
from facetell.dataset.census import NESTED, UNLISTED
from facetell.dataset.layouts import Listing

LISTED_ONLY = "listed, but not in the archive"  # of a reason why an image is set aside


def account(listings: Mapping[str, Listing], found: Dataset) -> dict[str, Any]:
    """What became of every file.

    Parameters
    ----------
    listings : by the set's name.
    found : of ``facetell.dataset.build.build`` on their tables.

    Returns
    -------
    ``understood`` images by split and class, split "" where it is drawn; ``files``: ``seen``,
    ``images``, ``set_aside`` and ``ignored`` by why, of which the first is the sum of the others,
    and ``missing``, listed images that are not there; ``groups``: ``number`` of sources and
    ``rule``, how they were found; images by ``generators``; numbers of pairs that are
    ``contradictions`` (one file, both labels), ``copies`` (in one split) and ``leaks`` (across
    splits); ``effective`` images by split, without copies; ``warnings`` in sentences.
    """
    rows = pd.concat(listed.table[["split", "label", "generator"]] for listed in listings.values())
    missing = int(found.aside["reason"].astype(str).str.startswith(LISTED_ONLY).sum())
    aside = len(found.aside) - missing
    ignored: Counter[str] = Counter()
    for listed in listings.values():
        ignored.update(listed.ignored)
    files = {
        "seen": sum(listed.seen for listed in listings.values()),
        "images": len(rows) - len(found.aside),
        "set_aside": aside,
        "ignored": dict(sorted(ignored.items())),
        "missing": missing,
    }
    kinds = found.leaks["kind"]
    rules = sorted({rule for rule in found.grouped.values() if rule})
    return {
        "understood": _understood(rows),
        "files": files,
        "groups": {
            "number": int(found.manifest["person"].nunique()),
            "rule": "; ".join(rules) or "each image on its own",
        },
        "generators": _tally(rows.loc[rows["generator"] != "", "generator"]),
        "contradictions": int((kinds == gate.BOTH_LABELS).sum()),
        "copies": int(kinds.isin(gate.INSIDE.values()).sum()),
        "leaks": int((~kinds.isin((*gate.HARMLESS, gate.BOTH_LABELS))).sum()),
        "effective": gate.effective(found.manifest, found.leaks),
        "warnings": list(_warnings(listings, found, files)),
    }


def _understood(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    sizes = rows.groupby(["split", "label"]).size()
    present = [split for split in ("", *SPLITS) if split in set(rows["split"])]
    return {
        split: {name: int(sizes.get((split, label), 0)) for label, name in enumerate(CLASSES)}
        for split in present
    }


def _tally(column: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(number) for name, number in column.value_counts().items()}


def _warnings(
    listings: Mapping[str, Listing], found: Dataset, files: Mapping[str, Any]
) -> list[str]:
    said: list[str] = []
    for name, listed in listings.items():
        said += listed.warnings
        if not found.grouped[name]:
            said.append(
                f"{len(listed.table):,} images of {name} are taken for independent; if they are "
                "frames of videos, or several of one person, say data.group=... (a column, or a "
                "regular expression over their paths)"
            )
    ignored = files["ignored"]
    if ignored.get(UNLISTED):
        said.append(
            f"{ignored[UNLISTED]:,} images are left out, as no folder or list gives them a class"
        )
    if ignored.get(NESTED):
        said.append(f"{ignored[NESTED]:,} archives lie inside the archive: unpack them to use them")
    if files["set_aside"]:
        said.append(f"{files['set_aside']:,} images cannot be used and are set aside")
    if files["missing"]:
        said.append(f"{files['missing']:,} images are listed, but are not there")
    if number := int((found.leaks["kind"] == gate.OTHER_LABEL).sum()):
        said.append(
            f"{number:,} pairs of nearly the same picture bear both labels: fakes that keep most "
            "of their photo, or mistakes"
        )
    return said
