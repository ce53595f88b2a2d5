# SPDX-License-Identifier: Apache-2.0
"""Detectors as ONNX, for use without PyTorch; a file is kept only if it computes the same.

The file takes ``image``, float RGB in [0, 1] of shape (B, 3, S, S), any B, and gives ``logits``
(B, 2) for (real, fake); normalisation is inside. Its metadata is the detector's card, each field
as JSON. The packages that it takes are the extra ``export``; ``make setup`` installs them.
"""

import importlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from facetell.common.errors import UserError, brief, printable, remedied
from facetell.models.detector import Card, Detector

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 20  # what torch's exporter writes natively, and every supported onnxruntime reads
TOLERANCE = 1e-4  # largest difference, see ``difference``
INLINE = 1_500_000_000  # bytes of weights in the file itself; protobuf ends at 2 GiB


def to_onnx(weights: Path, target: Path, inline: int = INLINE) -> float:
    """Export a weights file, run the result with onnxruntime and compare it with PyTorch.

    Parameters
    ----------
    weights : a file of ``detector.save``.
    target : ``*.onnx``; its folder is made. More than ``inline`` bytes of weights go beside it
        into ``<target>.data``: the two belong together, and are moved together.

    Returns
    -------
    The largest difference between the logits, as ``difference`` defines it.

    Raises
    ------
    UserError : a package is missing, the weights or the target cannot be used, or the two differ
        by more than ``TOLERANCE``. Then nothing is written, and an older target stays.
    """
    require()
    weights, target = Path(weights), Path(target)
    if target.suffix != ".onnx" or target.is_dir():
        raise UserError(f"{target}: the target of an export must be a file named *.onnx")
    detector = Detector.load(weights)
    card = detector.card
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # a folder, not files.whole: a graph names its data file, so both need their final names
        with TemporaryDirectory(prefix=".export.", dir=target.parent) as folder:
            draft = Path(folder) / target.name
            largest = write_and_compare(weights, detector, card, draft, inline)
            publish(draft, target)
    except OSError as error:
        raise UserError(f"cannot write {printable(target)}: {remedied(error)}") from error
    return largest


def write_and_compare(
    weights: Path, detector: Detector, card: Card, draft: Path, inline: int
) -> float:
    """Export to ``draft`` and return the ``difference``; UserError if it is too large."""
    images = probes(card.image_size)
    with torch.no_grad():
        expected = detector(images).numpy()
        nudged = detector(images + 1e-7).numpy()
    if not np.isfinite(expected).all():
        raise UserError(f"{weights}: the network's logits are not finite; train it again")
    try:
        write(detector, card, draft, inline)
        largest = difference(logits(draft, images), expected)
    except OSError:
        raise
    except Exception as error:  # the exporter and the runtime raise all kinds
        raise UserError(
            f"{weights}: {card.network} cannot be exported ({brief(error)}); "
            "try newer versions of torch and onnxscript, or change the network"
        ) from error
    if not largest <= TOLERANCE:  # NaN too
        raise UserError(
            f"{weights}: as ONNX it differs from PyTorch by {largest:.1e} where {TOLERANCE:.0e} is "
            "allowed; nothing was written. Try other versions of torch, onnxscript and onnxruntime;"
            f" or train longer if {difference(nudged, expected):.1e}, by which PyTorch's own "
            "logits change when pixels do by 1e-7, is as much"
        )
    return largest


def require() -> None:
    """Raise UserError unless every package that exporting takes can be imported."""
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UserError(
                f"exporting takes {', '.join(PACKAGES)} ({brief(error)}): "
                f"pip install {' '.join(PACKAGES)}"
            ) from error


def write(detector: Detector, card: Card, path: Path, inline: int) -> None:
    """Write the detector as ONNX to ``path``, with ``<path>.data`` if it is above ``inline``."""
    side = card.image_size
    with silence(), torch.no_grad():
        program = torch.onnx.export(
            detector,
            (torch.zeros(2, 3, side, side),),  # two: a batch of one would be taken for constant
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        assert program is not None  # only the old exporter returns nothing
        model = program.model
        model.doc_string = (
            "image: float RGB in [0, 1], normalised inside; logits: (real, fake). The margin, fake "
            "logit - real logit, at or above metadata 'threshold' means fake."
        )
        model.metadata_props.update(metadata(card))
        for node in model.graph:  # traces hold paths of this machine
            node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
        tensors: list[Any] = [value.const_value for value in model.graph.initializers.values()]
        weighs = sum(tensor.nbytes for tensor in tensors)
        program.save(path, external_data=weighs > inline)


def metadata(card: Card) -> dict[str, str]:
    """The card's fields as JSON, as in a weights file."""
    return {name: json.dumps(value) for name, value in asdict(card).items()}


def logits(path: Path, images: torch.Tensor) -> np.ndarray:
    """Logits (B, 2) by onnxruntime on the processor: the first image alone, the others at once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    batches: list[Any] = [
        session.run(["logits"], {"image": batch.numpy()})[0] for batch in (images[:1], images[1:])
    ]
    return np.concatenate(batches)


def probes(side: int, count: int = 4) -> torch.Tensor:
    """Images (count, 3, side, side) in [0, 1] to compare on: blobs of all sizes.

    Their spectrum falls with frequency as that of photographs does. Pure noise or a chessboard
    would not do: unlike any picture, they drive a briefly trained EfficientNet to logits of
    thousands, where the rounding of float32 alone exceeds the tolerance.

    >>> images = probes(64)
    >>> images.shape, bool(images.min() >= 0), bool(images.max() <= 1)
    (torch.Size([4, 3, 64, 64]), True, True)
    """
    random = torch.Generator().manual_seed(0)
    images = torch.full((count, 3, side, side), 0.5)
    for cells in (2**octave for octave in range(1, 8)):
        grey = torch.rand(count, 1, cells, cells, generator=random) - 0.5
        colour = torch.rand(count, 3, cells, cells, generator=random) - 0.5
        blobs = interpolate(grey + colour / 4, size=(side, side), mode="bicubic")
        images += blobs / cells**0.5
    return images.clamp(0, 1)


def difference(logits: np.ndarray, expected: np.ndarray) -> float:
    """Largest of |logits - expected| / max(1, |expected|) over all of them; NaN if one is.

    Absolute for logits up to 1, relative above: a logit of 1000, which an image unlike those of
    the training may well get, has steps of 6e-5 in float32, and is computed less exactly still.

    >>> difference(np.array([[0.5, -2001.0]]), np.array([[0.5, -2000.0]]))
    0.0005
    """
    return float((np.abs(logits - expected) / np.maximum(1, np.abs(expected))).max())


def data_file(target: Path) -> Path:
    """Where the weights of a large network are, beside its graph."""
    return target.with_name(f"{target.name}.data")


def publish(draft: Path, target: Path) -> None:
    """Move a draft, and its data file if it has one, over the target and its data file."""
    if data_file(draft).exists():
        target.unlink(missing_ok=True)  # a crash now must not leave old graph with new weights
        os.replace(data_file(draft), data_file(target))
        os.replace(draft, target)
    else:
        os.replace(draft, target)
        data_file(target).unlink(missing_ok=True)


@contextmanager
def silence() -> Iterator[None]:
    """Keep what the exporter warns, logs and prints off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
