"""The manifest: one row per usable image, with what the file says of itself, and its split."""

import hashlib
from zipfile import ZipFile

import pandas as pd

from facetell.archive import read_entry
from facetell.errors import UserError
from facetell.images import Unusable, inspect
from facetell.labels import CLASSES, SPLITS
from facetell.progress import progress

COLUMNS = (
    *("id", "path", "split", "label", "person", "generator", "platform"),
    *("sha256", "width", "height", "bytes", "jpeg_quality", "artefacts", "mask", "twin"),
)


def build(
    rows: pd.DataFrame, archive: ZipFile, *, valid: float, test: float, seed: int
) -> tuple[pd.DataFrame, list[dict[str, str]]]:
    """Look at every image, set the unusable aside, and split what the set leaves unsplit.

    Parameters
    ----------
    rows : frame with the columns of ``facetell.layouts.ROW``.
    archive : holds the images named in ``rows.path``.
    valid, test : shares (0 to 1) taken where the set has no such split.
    seed : of the choice of persons.

    Returns
    -------
    The manifest (columns ``COLUMNS``) and the images set aside, each with path and reason.

    Raises
    ------
    UserError : a split ends without images of one class.
    """
    kept, aside = [], []
    for row in progress(rows.to_dict("records"), "looking at images"):
        try:
            data = read_entry(archive, row["path"])
            facts = inspect(data)
        except Unusable as reason:
            aside.append({"path": row["path"], "reason": str(reason)})
            continue
        digest = hashlib.sha256(data).hexdigest()
        kept.append(row | vars(facts) | {"sha256": digest, "bytes": len(data)})
    manifest = pd.DataFrame(kept, columns=list(COLUMNS))
    manifest["jpeg_quality"] = manifest["jpeg_quality"].astype("Int16")
    manifest["split"] = assign_splits(manifest, valid=valid, test=test, seed=seed)
    check(manifest)
    return manifest, aside


def assign_splits(
    manifest: pd.DataFrame, *, valid: float, test: float, seed: int
) -> "pd.Series[str]":
    """Official splits as they are; otherwise persons are drawn, in equal shares of both classes.

    The draw depends only on the seed and the person's name: adding images moves no other.
    """
    split = manifest["split"].copy()
    if (split == "").all():
        draw, shares = manifest, {"test": test, "valid": valid}
    elif "valid" not in set(split):
        draw, shares = manifest[split == "train"], {"valid": valid}
    else:
        return split
    person = draw.groupby("person")["label"].mean().round().reset_index()
    person["order"] = [
        hashlib.sha256(f"{seed}/{name}".encode()).hexdigest() for name in person.person
    ]
    chosen: dict[str, str] = {}
    for _, stratum in person.sort_values("order").groupby("label"):
        start = 0
        for name, portion in shares.items():
            stop = start + max(1, round(portion * len(stratum)))
            chosen |= dict.fromkeys(stratum["person"].iloc[start:stop], name)
            start = stop
    split.loc[draw.index] = draw["person"].map(chosen).fillna("train")
    return split


def check(manifest: pd.DataFrame) -> None:
    """Refuse a manifest that nothing can be learnt from or measured on."""
    for split in SPLITS:
        for label, name in enumerate(CLASSES):
            if not ((manifest["split"] == split) & (manifest["label"] == label)).any():
                raise UserError(
                    f"no usable {name} image is left for the split {split!r}: see the images set "
                    "aside in metrics/data.json, and check the folders of the data set"
                )


def summary(manifest: pd.DataFrame, aside: list[dict[str, str]]) -> dict[str, object]:
    """Counts per split and class, what was set aside and why, and copies across splits."""
    counts = {
        split: {
            name: int(((manifest["split"] == split) & (manifest["label"] == label)).sum())
            for label, name in enumerate(CLASSES)
        }
        for split in SPLITS
    }
    spread = manifest.groupby("sha256")["split"].nunique()
    persons = manifest.groupby("person")["split"].nunique()
    return {
        "counts": counts,
        "images": len(manifest),
        "persons": int(manifest["person"].nunique()),
        "copies_across_splits": int((spread > 1).sum()),
        "persons_across_splits": int((persons > 1).sum()),
        "set_aside": {"count": len(aside), "images": aside},
    }
