# SPDX-License-Identifier: Apache-2.0
"""What is in a data set, in numbers: the content of metrics/data.json."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from facetell.common.labels import CLASSES, SPLITS
from facetell.dataset import layouts

# of the manifest's columns
NEEDED = ("set", "split", "label", "person", "platform", "laundered")


def summary(
    manifest: pd.DataFrame,
    *,
    sets: Mapping[str, Mapping[str, Any]],
    harmonised: bool,
    aside: pd.DataFrame,
    leaks: pd.DataFrame,
    files: Mapping[str, Any],
) -> dict[str, Any]:
    """What is in the splits, how it was made, what was set aside, and what leaks.

    Parameters
    ----------
    manifest : the columns ``NEEDED``.
    sets : settings by set, as ``data.sets`` in params.yaml.
    harmonised : whether all images were re-encoded in one way (``data.harmonise``).
    aside, leaks : as metrics/set_aside.csv and metrics/leaks.csv have them.
    files : of ``facetell.dataset.account.account``.

    Returns
    -------
    Images that are used and their persons, by split and class, set and platform; ``rendered``:
    how many of the images a program drew (see ``layouts.is_rendered``), and the sets that they are
    of; ``laundered``: how many were put through a platform by us; ``layouts`` by set;
    ``grouped``: how sources were found; ``effective``: images by split that are no copies of
    another one there; ``contradictions`` and ``copies`` inside a split: pairs; ``warnings``.

    Examples
    --------
    >>> manifest = pd.DataFrame(
    ...     {"set": ["demo", "own"], "split": "train", "label": [0, 1], "person": ["a", "b"]}
    ... ).assign(platform="presocial", laundered=False)
    >>> columns = ("reason", "kind", "split", "other_split")
    >>> nothing = pd.DataFrame({name: [] for name in columns}, dtype=str)
    >>> sets = {"demo": {"layout": "demo"}, "own": {"layout": "folder"}}
    >>> files = {"groups": {"number": 2, "rule": "names"}, "effective": {"train": 2}}
    >>> files |= {"contradictions": 0, "copies": 0, "warnings": []}
    >>> found = summary(
    ...     manifest, sets=sets, harmonised=False, aside=nothing, leaks=nothing, files=files
    ... )
    >>> found["rendered"]
    {'images': 1, 'of': 2, 'sets': ['demo']}
    """
    used = manifest[manifest["split"].isin(SPLITS)]
    present = tally(used["set"])
    return {
        "counts": counts(manifest),
        "images": len(used),
        "unused": len(manifest) - len(used),
        "persons": int(used["person"].nunique()),
        "sets": present,
        "platforms": tally(used["platform"]),
        "layouts": {name: sets[name]["layout"] for name in present},
        "rendered": rendered(present, sets),
        "laundered": int(used["laundered"].sum()),
        "harmonised": harmonised,
        "set_aside": {
            "count": len(aside),
            "reasons": tally(_kinds(aside["reason"])),
        },
        "pairs_across_splits": tally(leaks.loc[leaks["split"] != leaks["other_split"], "kind"]),
        "grouped": files["groups"]["rule"],
        "effective": files["effective"],
        "contradictions": files["contradictions"],
        "copies": files["copies"],
        "warnings": files["warnings"],
    }


def _kinds(reasons: "pd.Series[str]") -> "pd.Series[str]":
    """Reasons without what is said of the single file, after a colon or in brackets."""
    return reasons.str.split(r": | \(", regex=True).str[0]


def counts(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images by split and class."""
    sizes = manifest.groupby(["split", "label"]).size()
    return {
        split: {name: int(sizes.get((split, label), 0)) for label, name in enumerate(CLASSES)}
        for split in SPLITS
    }


def rendered(
    images: Mapping[str, int], sets: Mapping[str, Mapping[str, Any]]
) -> dict[str, int | list[str]]:
    """How many of all ``images`` (numbers by set) are rendered, and the sets that they are of."""
    names = [name for name in images if layouts.is_rendered(sets[name])]
    number = sum(images[name] for name in names)
    return {"images": number, "of": sum(images.values()), "sets": names}


def tally(column: "pd.Series[str]") -> dict[str, int]:
    """How often each value occurs, by name.

    Examples
    --------
    >>> tally(pd.Series(["b", "a", "b"]))
    {'a': 1, 'b': 2}
    """
    return {str(value): int(number) for value, number in column.value_counts().sort_index().items()}
