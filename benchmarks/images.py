# SPDX-License-Identifier: Apache-2.0
"""Images that the benchmarks make for themselves: photo-like JPEGs in folders, and packed."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facetell.dataset.layouts import PRESOCIAL
from facetell.images.packing import pack
from facetell.images.sharding import LARGEST


def jpeg(seed: int, size: int) -> bytes:
    """Smooth shapes with some grain, quality 75: about the bytes of a photo of a face."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float32)
    pixels = (pixels + random.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def make(
    home: Path, count: int, size: int, *, distinct: int = 2000, largest: int = LARGEST
) -> None:
    """``home/{train,valid}`` and the same as ``home/folder/{real,fake}/*.jpg``.

    The validation set is a tenth of the training set, at least 32 images. Beyond ``distinct``
    images the same bytes come again, under other names. ``largest`` are the bytes of a shard.
    """
    names = [f"{('real', 'fake')[index % 2]}/{index:06d}.jpg" for index in range(count)]
    data = [jpeg(index, size) for index in range(min(count, distinct))]
    for kind in ("real", "fake"):
        (home / "folder" / kind).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(home / "raw.zip", "w") as archive:
        for index, name in enumerate(names):
            archive.writestr(name, data[index % len(data)])
            (home / "folder" / name).write_bytes(data[index % len(data)])
    rows = pd.DataFrame({"id": names, "path": names, "label": np.arange(count) % 2})
    rows["person"] = rows["id"]
    digests = [hashlib.sha256(one).hexdigest() for one in data]
    rows["sha256"] = [digests[index % len(data)] for index in range(count)]
    rows = rows.assign(set="set", artefacts="", mask="", twin="", platform=PRESOCIAL)
    rows["laundered"] = False
    rows["bytes"] = [len(data[index % len(data)]) for index in range(count)]
    files = {"set": home / "raw.zip"}
    pack([rows], files, home / "train", largest=largest)
    pack([rows.iloc[: max(32, count // 10)]], files, home / "valid")
