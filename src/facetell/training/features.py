# SPDX-License-Identifier: Apache-2.0
"""Features of images: what a frozen network makes of each, computed once and kept in a file.

A file's name is a digest of all that its contents follow from: images, weights, preprocessing,
number format, and the code. So it is never stale; what has changed has another name.
"""

import hashlib
import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np
import timm
import torch
from torch.utils.data import DataLoader, Subset

from facetell.common.errors import UserError
from facetell.common.locks import alone
from facetell.common.machine import memory_format
from facetell.common.progress import Say, estimating, progress, to_stderr, worked
from facetell.images import decoding, loading
from facetell.images.loading import Images, to_unit
from facetell.models.detector import Detector
from facetell.models.inference import BATCH, evaluating
from facetell.training.job import PROCESSOR, Engine

LIMIT = 8 * 2**30  # bytes of a folder; beyond them, what was not used for longest goes
NUMBER = np.dtype("<f4")


class FeatureStore:
    """A folder of features, and the network that computes those that it lacks.

    ``seconds`` is the time that computing has taken here; 0 if all was there.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.models import build
    >>> images = Images(packed_demo("demo")["test"], 64)
    >>> body = Detector(build("test_resnet", num_classes=0), (0.5,) * 3, (0.5,) * 3)
    >>> store = FeatureStore(Path("features"), body, channels=96)
    >>> store.of(images).shape
    (8, 96)
    """

    def __init__(
        self,
        folder: Path,
        body: Detector,
        channels: int,
        *,
        dtype: torch.dtype = torch.float32,
        engine: Engine = PROCESSOR,
        title: str = "network",
        say: Say = to_stderr,
    ) -> None:
        """``body`` maps RGB in [0, 1], float (B, 3, S, S), to features (B, ``channels``), and runs
        in number format ``dtype``."""
        self.folder, self.body, self.channels = folder, body, channels
        self.dtype, self.engine, self.title, self.say = dtype, engine, title, say
        self.seconds = 0.0
        self._follows_from = _facts(body) | {"dtype": str(dtype), "device": engine.device.type}
        self._used: list[Path] = []

    def of(self, images: Images) -> np.ndarray:
        """Features in the order of the images, float32 (N, channels), mapped from their file.

        Whoever is killed on the way goes on from there. Another process that wants the same waits.

        Raises
        ------
        UserError : features that are not finite; the image is named.
        """
        if not len(images):
            return np.empty((0, self.channels), NUMBER)
        file = self.folder / f"{self.key(images)}.npy"
        with alone(file):
            if not file.exists():
                started = monotonic()
                self._compute(images, file)
                self.seconds += monotonic() - started
            os.utime(file)  # used now
            found = np.load(file, mmap_mode="r")
        self._used.append(file)
        shrink(self.folder, LIMIT, spare=self._used)
        return found

    def key(self, images: Images) -> str:
        """Digest of what the features of these images follow from."""
        facts = self._follows_from | {"images": images.packed.fingerprint, "size": images.size}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def _compute(self, images: Images, file: Path) -> None:
        """Rows are appended to a part, which gets the file's name when it is whole."""
        part, header = file.with_suffix(".part"), _header((len(images), self.channels))
        row = NUMBER.itemsize * self.channels
        with open(part, "r+b" if part.exists() else "w+b") as out:
            whole_header = out.read(len(header)) == header
            done = (out.seek(0, os.SEEK_END) - len(header)) // row if whole_header else 0
            out.seek(0)
            out.write(header)
            out.seek(len(header) + done * row)
            out.truncate()
            rest = Subset(images, range(done, len(images)))
            what = f"features of {self.title}: {len(rest):,} images of {images.size} px"
            with (
                estimating(what, len(rest), say=self.say),
                progress(None, f"features of {self.title}", len(images)) as bar,
            ):
                bar.update(done)
                loader = DataLoader(rest, batch_size=BATCH, num_workers=self.engine.decoders)
                for indices, pixels, _ in loader:
                    out.write(
                        self._rows(pixels, [images.packed.ids[at] for at in indices.tolist()])
                    )
                    bar.update(len(pixels))
                    worked(len(pixels))
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, file)

    def _rows(self, pixels: torch.Tensor, ids: list[str]) -> bytes:
        device = self.engine.device
        inputs = to_unit(pixels, device).contiguous(memory_format=memory_format(device))
        mixed = self.dtype != torch.float32
        with (
            evaluating(self.body),
            torch.inference_mode(),
            torch.autocast(device.type, self.dtype, enabled=mixed),
        ):
            rows = self.body(inputs).float().cpu().numpy().astype(NUMBER)
        for name, one in zip(ids, rows, strict=True):
            if not np.isfinite(one).all():
                raise UserError(
                    f"{self.title}: the features of {name} are not finite: set precision to float32"
                )
        return rows.tobytes()


def shrink(folder: Path, limit: int, *, spare: list[Path]) -> None:
    """Remove the files of features that were not used for longest, until ``limit`` bytes are left;
    those to ``spare`` stay."""
    files = [*folder.glob("*.npy"), *folder.glob("*.part")]
    with suppress(OSError):  # another process removes them, too, or has one open on Windows
        sizes = {file: file.stat().st_size for file in files}
        used = {file: file.stat().st_mtime for file in files}
        total = sum(sizes.values())
        for file in sorted(set(files) - set(spare), key=used.__getitem__):
            if total <= limit:
                return
            file.unlink(missing_ok=True)
            total -= sizes[file]


def _header(shape: tuple[int, int]) -> bytes:
    """Of a file in numpy's format."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": NUMBER.str, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def _facts(body: Detector) -> dict[str, str]:
    """Weights, normalisation, and the code that decodes images and that the network is made of."""
    weights = hashlib.sha256()
    values = body.network.state_dict() | {"mean": body.mean, "std": body.std}
    for name, value in values.items():
        weights.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        weights.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    code = hashlib.sha256(str(body.network).encode())
    for module in (decoding, loading, sys.modules[type(body.network).__module__]):
        if module.__file__ is not None:
            code.update(Path(module.__file__).read_bytes())
    versions = f"torch {torch.__version__}, timm {timm.__version__}"
    return {"weights": weights.hexdigest(), "code": code.hexdigest(), "versions": versions}
