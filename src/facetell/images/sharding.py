# SPDX-License-Identifier: Apache-2.0
"""Where the rows of a split are cut into shards, and what a shard is called.

A cut follows from a hash of the image's own name (content-defined chunking, as in the LBFS of
Muthitacharoen et al. 2001), not from its number: an image that is added or removed changes the
shard that it falls into, and no other.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple

import numpy as np
import pandas as pd

from facetell.images.reencoding import Treatment

LARGEST = 512 * 2**20  # bytes of a shard's images, unless it is said
MOST_ROWS = 2**14  # of a shard, so that the rows of a few are no burden
LEAST = 0.25  # of a full shard: what is smaller is not cut
FORMAT = 1  # of the files, counted up with every change of their content


def cut(
    chunks: Iterable[pd.DataFrame], largest: int = LARGEST, rows: int = MOST_ROWS
) -> Iterator[pd.DataFrame]:
    """The same rows in the same order, a frame for each shard.

    Parameters
    ----------
    chunks : columns id and bytes (of the image), and any others.
    largest, rows : bytes and rows that fill a shard; none has more, but for a single larger image.

    >>> table = pd.DataFrame({"id": [f"{at}.jpg" for at in range(100)], "bytes": 1000})
    >>> parts = list(cut([table[:30], table[30:]], largest=20_000))
    >>> max(map(len, parts)) <= 20, min(map(len, parts[:-1])) >= 5
    (True, True)
    >>> pd.concat(parts).equals(table)
    True
    """
    pending: list[pd.DataFrame] = []
    filled = 0.0
    for chunk in chunks:
        # in units of a full shard; the chance of a cut grows with the image's own weight alone
        weights = np.maximum(chunk["bytes"].to_numpy() / largest, 1 / rows)
        draws = pd.util.hash_array(chunk["id"].to_numpy(dtype=object)) / 2.0**64
        begun = 0
        for at, (weight, marked) in enumerate(zip(weights, draws < 2 * weights, strict=True)):
            if filled and (filled + weight > 1 or (marked and filled >= LEAST)):
                yield pd.concat([*pending, chunk.iloc[begun:at]])
                pending, filled, begun = [], 0.0, at
            filled += weight
        pending.append(chunk.iloc[begun:])
    if filled:
        yield pd.concat(pending)


def key(rows: pd.DataFrame, everyone: Treatment, companions: Iterable[str] = ()) -> str:
    """What a shard's content follows from, 16 hexadecimal digits.

    Parameters
    ----------
    rows : of the manifest. everyone : what is done to all images.
    companions : identities of the masks and twins, which the manifest only names.
    """
    digest = hashlib.sha256(repr((FORMAT, astuple(everyone), *companions)).encode())
    update(digest, rows)
    return digest.hexdigest()[:16]


def update(digest: "hashlib._Hash", rows: pd.DataFrame) -> None:
    """Add every value of the rows to a digest."""
    for row in rows.itertuples(index=False):
        digest.update("\t".join(map(str, row)).encode() + b"\n")
