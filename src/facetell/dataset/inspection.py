# SPDX-License-Identifier: Apache-2.0
"""Looking at every image: what its file says, its sha256, its perceptual hash and a thumbnail.

What was seen is kept as ``facetell.dataset.findings``, so that images that were added to a set are
the only ones that are read.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import imagehash
import numpy as np
import pandas as pd
import PIL
import pyarrow as pa

from facetell.common.parallel import ALONE, CHUNK, in_processes, opened
from facetell.common.progress import estimating, progress, worked
from facetell.dataset import hashes, thumbnails
from facetell.dataset.findings import KEY, KEYS, SCHEMA, Findings, Seen
from facetell.dataset.hashes import perceptual_hash
from facetell.dataset.sources.folder import open_files
from facetell.dataset.thumbnails import luma
from facetell.images import decoding, reencoding
from facetell.images.decoding import Unusable, inspect
from facetell.images.reencoding import Treatment, treatment

READ = ["set", "path", "id", "platform", "laundered"]  # columns that tell how an image is read
NUMBERS = {pa.int16(): pd.Int16Dtype()}  # missing where an image has none
CODE = (hashes, thumbnails, decoding, reencoding)  # what a finding follows from


class Looked(NamedTuple):
    """All usable images, those set aside (set, path, reason), and a hash of each usable one."""

    table: pd.DataFrame
    aside: pd.DataFrame
    hashes: np.ndarray  # uint8 (N, 32)
    findings: Findings
    places: np.ndarray  # of each usable image in them, int (N,)

    def look(self, indices: np.ndarray) -> np.ndarray:
        """What some pictures are compared by: ``thumbnails``, float32 (n, 2, 1024)."""
        return thumbnails.thumbnails(self.findings.luma(self.places[indices]))


def look_at(
    rows: pd.DataFrame,
    files: Mapping[str, Path],
    harmonise: Treatment | None = None,
    *,
    findings: Path | None = None,
    workers: int = 1,
) -> Looked:
    """Read every image that is not known yet: its properties, its sha256 and its perceptual hash.

    All describe the image as it will be packed, that is after ``harmonise`` and laundering.

    Parameters
    ----------
    rows : of ``manifest.plan``.
    files : by the set's name its zip, folder of zips, or folder of images.
    findings : a folder where what is seen is kept for the next time; None: nowhere. Those of
        images that are not among the rows any more are removed.
    workers : processes; the result does not depend on their number.
    """
    everyone = harmonise or Treatment()
    known, keys = Findings(findings), _keys(rows, files, everyone)
    new = np.flatnonzero(known.places(keys) < 0)
    reasons: dict[int, str] = {}  # why an image cannot be used, by row
    some = "" if len(new) == len(rows) else f"{len(new):,} new ones of "
    with estimating(f"look at {some}{len(rows):,} images", len(new)):
        known.add(_look_at_some(rows, new, keys, dict(files), everyone, reasons, workers))
    places = known.places(keys)
    usable = places >= 0
    aside = rows.loc[~usable, ["set", "path"]].reset_index(drop=True)
    aside["reason"] = [reasons[int(row)] for row in np.flatnonzero(~usable)]
    if len(aside):  # else this would be a copy
        rows, places = rows[usable].reset_index(drop=True), places[usable]
    found = known.table.drop_columns("key").take(pa.array(places))
    if findings:
        known.keep_only(places)
    hashed = found["hash"].combine_chunks().buffers()[1]
    properties = found.drop_columns("hash").to_pandas(types_mapper=NUMBERS.get)
    table = pd.concat([rows, properties], axis=1)
    hashes = np.frombuffer(hashed, np.uint8)[: 32 * len(table)].reshape(-1, 32)
    return Looked(table, aside, hashes, known, places)


def _keys(rows: pd.DataFrame, files: Mapping[str, Path], everyone: Treatment) -> pa.Array:
    """What the finding of each row follows from: 16 bytes."""
    common = hashlib.sha256(f"{PIL.__version__} {imagehash.__version__} {everyone}".encode())
    for module in CODE:
        common.update(Path(str(module.__file__)).read_bytes())
    keys = bytearray()  # a million small objects would take ten times as much
    with ExitStack() as stack:
        archives = {
            name: stack.enter_context(open_files(files[name])) for name in rows["set"].unique()
        }
        for row in rows[READ].itertuples(index=False):
            said = [archives[row.set].identity(row.path), row.set, row.path]
            if row.laundered:  # with what is drawn for the image's id
                said += [row.platform, row.id]
            digest = common.copy()
            digest.update("\0".join(said).encode())
            keys += digest.digest()[:KEY]
    return pa.Array.from_buffers(KEYS, len(rows), [None, pa.py_buffer(keys)])


def _look_at_some(
    rows: pd.DataFrame,
    chosen: np.ndarray,
    keys: pa.Array,
    files: dict[str, Path],
    everyone: Treatment,
    reasons: dict[int, str],
    workers: int,
) -> Iterator[Seen]:
    """Findings of the ``chosen`` rows, chunk by chunk; ``reasons`` gets those without one."""
    starts = range(0, len(chosen), CHUNK)
    parts = [chosen[start : start + CHUNK] for start in starts]
    jobs = ((rows[READ].iloc[at].to_dict("records"), keys.take(pa.array(at))) for at in parts)
    results = in_processes(
        _look, jobs, files, everyone, workers=1 if len(chosen) < ALONE else workers
    )
    for at, (seen, unusable) in zip(parts, progress(results, "images", len(parts)), strict=True):
        worked(len(at))
        reasons.update({int(at[place]): reason for place, reason in unusable.items()})
        yield seen


def _look(
    job: tuple[list[dict[str, Any]], pa.Array], files: dict[str, Path], everyone: Treatment
) -> tuple[Seen, dict[int, str]]:
    """What is seen of some rows, and by place why the others cannot be used."""
    seen: list[tuple[Any, ...]] = []
    small: list[bytes] = []
    reasons = {}
    for place, (row, key) in enumerate(zip(*job, strict=True)):
        try:
            data = opened(open_files, files[row["set"]]).read(row["path"])
            data = treatment(row, everyone)(data, row["id"])
            properties, pixels = inspect(data)
        except Unusable as reason:
            reasons[place] = str(reason)
            continue
        digest = hashlib.sha256(data).hexdigest()
        said = (key.as_py(), *astuple(properties), len(data), digest, perceptual_hash(pixels))
        seen.append(said)
        small.append(luma(pixels).tobytes())
    columns = [list(column) for column in zip(*seen, strict=True)] or [[] for _ in SCHEMA]
    return (pa.record_batch(columns, schema=SCHEMA), b"".join(small)), reasons
