# SPDX-License-Identifier: Apache-2.0
"""A comparison of versions as one HTML page that needs nothing else: tables, ROC curves, and the
test images whose verdict changed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facetell import __version__
from facetell.images.decoding import decode_inspected
from facetell.report.embedded import environment, jpeg, png
from facetell.report.figures.versions import roc_of_versions
from facetell.report.markdown import ABSENT
from facetell.report.number_format import counted
from facetell.report.versions.compared import Compared, Comparison
from facetell.report.versions.pairing import Turned
from facetell.report.versions.summary import lists, method, tables, title
from facetell.report.versions.version import Version

SHOWN = 60  # images on the page, shared among models and versions
LEAST = 6  # of each
SIDE = 96  # px of a picture
VARIANTS = 10  # perturbed versions of the test images whose AUC moved most


def page(found: Comparison) -> str:
    """One HTML page: no script, no font, no picture from elsewhere.

    Examples
    --------
    >>> from facetell.report.versions.compared import compare
    >>> from facetell.report.versions.version import Model, Version
    >>> old, new = (Version(n, models={"swin": Model({"clean": {"auc": a}})})
    ...             for n, a in (("main", 0.75), ("workspace", 0.875)))
    >>> "+0.125" in page(compare([old, new]))
    True
    """
    return environment().get_template("versions.html").render(
        title=title(found),
        version=__version__,
        versions=[(v.name, v.commit[:10] or "not committed") for v in found.versions],
        notes=found.notes,
        method=method(found),
        same=[name for name, model in found.models.items() if not model.changed],
        some=any(model.changed for model in found.models.values()),
        tables=list(tables(found, dict(found.models))),
        lists=list(lists(found)),
        models=[_model(name, found) for name, model in found.models.items() if model.changed],
    )  # fmt: skip


def _model(name: str, found: Comparison) -> dict[str, Any]:
    compared = found.models[name]
    return {
        "name": name,
        "roc": _roc(name, found),
        "variants": _variants(compared),
        "turned": list(_turned(compared, found)),
    }


def _roc(name: str, found: Comparison) -> dict[str, str] | None:
    """The figure and its words; None where fewer than two versions have the curve."""
    curves = {}
    for version in found.versions:
        if {"model", "score", "fpr", "tpr"} <= set(version.roc.columns):
            table = version.roc
            chosen = table[(table["model"] == name) & (table["score"] == "fake")]
            if len(chosen):
                curves[version.name] = chosen
    if len(curves) < 2:
        return None
    areas = "; ".join(
        f"{version.name}: AUC {number.value:.3f}"
        for version, number in zip(found.versions, found.models[name].numbers["auc"], strict=True)
        if number and version.name in curves
    )
    return {"png": png(roc_of_versions(curves)), "alt": f"ROC curves of {name}. {areas}"}


def _variants(compared: Compared) -> list[tuple[str, list[str]]]:
    """AUC in every version of the perturbed test images that moved most."""
    table = pd.DataFrame(dict(compared.variants)).T.astype(float)
    if table.empty:
        return []
    spread = table.max(axis=1) - table.min(axis=1)
    moved = spread[spread > 0].sort_values(ascending=False, kind="stable").index[:VARIANTS]
    return [(str(v), [_area(value) for value in table.loc[v]]) for v in moved]


def _area(value: float) -> str:
    return ABSENT if np.isnan(value) else f"{value:.3f}"


def _turned(compared: Compared, found: Comparison) -> Iterator[dict[str, Any]]:
    """The images whose verdict changed, for each later version that has such."""
    everything = [model.pairs for model in found.models.values()]
    groups = sum(bool(pair and pair.turned) for pairs in everything for pair in pairs)
    for version, pair in zip(found.versions[1:], compared.pairs, strict=True):
        if not pair or not pair.turned:
            continue
        shown = pair.turned[: max(LEAST, SHOWN // groups)]
        total = counted(len(pair.turned), "image")
        some = (
            f", the {len(shown)} whose margin moved most" if len(shown) < len(pair.turned) else ""
        )
        yield {
            "title": f"Verdict changed in {version.name}: {total}{some}",
            "images": list(_shown(shown, [version, found.versions[0]])),
        }


def _shown(images: tuple[Turned, ...], versions: list[Version]) -> Iterator[dict[str, Any]]:
    """Each image with its picture, from the first of the versions that has it at hand."""
    packed = [version.packed for version in versions if version.packed is not None]
    places = [part.places(image.id for image in images) for part in packed]
    for number, image in enumerate(images):
        picture = next(
            (
                thumbnail(part.image(int(rows[number])))
                for part, rows in zip(packed, places, strict=True)
                if rows[number] >= 0
            ),
            "",
        )
        verdicts = [("fake" if margin >= 0 else "real") for margin in (image.old, image.new)]
        yield {
            "id": image.id,
            "label": image.label,
            "generator": image.generator,
            "jpeg": picture,
            "verdicts": " → ".join(verdicts),
            "margins": f"{image.old:+.2f} → {image.new:+.2f}",
            "right": image.right,
        }


def thumbnail(content: bytes) -> str:
    """An encoded image, at most ``SIDE`` pixels wide and high, as the text of a JPEG file."""
    image = Image.fromarray(decode_inspected(content))
    image.thumbnail((SIDE, SIDE))
    return jpeg(np.asarray(image))
