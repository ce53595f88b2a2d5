# SPDX-License-Identifier: Apache-2.0
"""Small maps of single test images, to be looked at one by one: saliency, and the one map of layers
that the model's verdict recommends."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn.functional import interpolate

from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.progress import progress, worked
from facetell.explain.engine import explain
from facetell.explain.maps import believable
from facetell.explain.registry import METHODS
from facetell.explain.survey.examples import CAM
from facetell.explain.test_set import TestSet
from facetell.explain.trust.verdict import Belief, Verdict

SIDE = 24  # cells of the longer side, at most
ZERO, ENDS = 128, 127  # the byte of a relevance of 0, and how far from it the strongest lies
BATCH = 32


@dataclass(frozen=True)
class Recommended:
    """The map of layers that is shown of a model, and how far it can be believed.

    ``belief`` as ``Verdict`` has it, and ``claim`` the sentence that belongs to it; "" where
    nothing was planted that could tell.
    """

    method: str
    layer: str
    title: str
    belief: str = ""
    claim: str = ""


@dataclass(frozen=True)
class KeptMaps:
    """Signed maps of n images, as ``kept_maps`` made them.

    ids : of the images.
    saliency, relevance : uint8 (n, h, w) each with its own h and w. 128 is no relevance; 255 speaks
        for fake and 1 for real as strongly as anything in the image's own map.
    scales : by name of either, float (n,): the relevance that 255 stands for; 0 for a map that is
        all zero or not to be believed.
    recommended : what ``relevance`` is.
    """

    ids: list[str]
    saliency: np.ndarray
    relevance: np.ndarray
    scales: dict[str, np.ndarray]
    recommended: Recommended


def recommended(verdicts: Mapping[str, Verdict], layer: str) -> Recommended:
    """The map that validation fakes chose, if it is believed and costs one pass; else one of those
    that are believed after correction for their number; else Grad-CAM at ``layer``, which nothing
    confirms."""
    claims = [f"{kind}: {verdict.claim}" for kind, verdict in verdicts.items()]
    for verdict in verdicts.values():
        good = verdict.maps[verdict.maps["belief"] != Belief.NONE].to_dict("records")
        good.sort(key=lambda row: -float(row["low"]))
        if verdict.chosen is not None and verdict.chosen_is_believed:
            good.insert(0, dict(verdict.chosen))
        for one in good:
            if _shared(one["method"]):
                title = verdict.titles.get(one["method"], METHODS[one["method"]].title)
                return Recommended(
                    one["method"], one["layer"], title, str(one["belief"]), verdict.claim
                )
    return Recommended(
        CAM, layer, METHODS[CAM].title, str(Belief.NONE) if claims else "", " ".join(claims)
    )


def _shared(method: str) -> bool:
    known = METHODS.get(method)
    return known is not None and known.one_pass and known.of_layers


def kept_maps(tested: TestSet, rows: Sequence[int], chosen: Recommended) -> KeptMaps:
    """Both maps of some test images; what a map's own status warns of is all zero."""
    rows = list(rows)
    parts = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]

    def look(part: list[int]) -> list[np.ndarray]:
        seen = explain(
            tested.detector,
            tested.batch(part),
            methods=(chosen.method,),
            layers=chosen.layer,
            seed=tested.seed,
        )
        relevance = believable(seen)[chosen.method][chosen.layer]
        return [*_bytes(_small(seen.saliency)), *_bytes(_small(relevance))]

    found = []
    for one in progress(tested.world.dealt(look, parts), "maps to look at", len(parts)):
        found.append(one)
        worked(len(one[0]))
    saliency, saliency_ends, relevance, relevance_ends = map(
        np.concatenate, zip(*found, strict=True)
    )
    ends = {"saliency": saliency_ends, "relevance": relevance_ends}
    return KeptMaps(tested.ids(rows), saliency, relevance, ends, chosen)


def _small(maps: np.ndarray) -> np.ndarray:
    """(n, h, w) with at most ``SIDE`` cells a side, each the mean of what it covers."""
    height, width = maps.shape[1:]
    longest = max(height, width)
    if longest <= SIDE:
        return maps
    size = tuple(max(1, round(side * SIDE / longest)) for side in (height, width))
    cells = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[:, None]
    return interpolate(cells, size, mode="area")[:, 0].numpy()


def _bytes(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As ``KeptMaps`` has them, and the relevance of each map's strongest cell, (n,)."""
    finite = np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0)
    ends = np.abs(finite).max(axis=(1, 2))
    unit = finite / np.where(ends > 0, ends, 1)[:, None, None]
    return (ZERO + np.rint(ENDS * unit)).astype(np.uint8), ends.astype(np.float32)


def write(path: str | Path, kept: KeptMaps) -> None:
    """Write as parquet, a row per image; shapes and the recommended map travel in the schema."""
    said = {
        "shapes": json.dumps({n: getattr(kept, n).shape[1:] for n in ("saliency", "relevance")}),
        "recommended": json.dumps(vars(kept.recommended)),
    }
    columns: dict[str, object] = {"id": kept.ids}
    for name in ("saliency", "relevance"):
        columns[name] = [map_.tobytes() for map_ in getattr(kept, name)]
        columns[f"{name}_scale"] = kept.scales[name]
    with whole(path) as temporary:
        pq.write_table(pa.table(columns).replace_schema_metadata(said), temporary)


def read(path: str | Path) -> KeptMaps:
    """The maps of one model.

    Raises
    ------
    UserError : the file was not written by ``write``.
    """
    try:
        content = pq.read_table(path)
        said = content.schema.metadata
        shapes, chosen = (json.loads(said[key]) for key in (b"shapes", b"recommended"))
        table: pd.DataFrame = content.to_pandas()
        maps = {
            name: np.frombuffer(b"".join(table[name]), np.uint8).reshape(-1, *shape)
            for name, shape in shapes.items()
        }
        scales = {name: table[f"{name}_scale"].to_numpy() for name in shapes}
        return KeptMaps(table["id"].tolist(), **maps, scales=scales,
                        recommended=Recommended(**chosen))  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{path} is no file of maps of this version ({error}): run the explain stage again"
        ) from error
