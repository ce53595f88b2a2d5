# SPDX-License-Identifier: Apache-2.0
"""A detector: a network together with all that is needed to use it rightly elsewhere."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from facetell.common.errors import UserError, brief
from facetell.common.files import whole
from facetell.models.factory import build


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a weights file says of itself.

    ``threshold`` is a margin (fake logit - real logit) chosen on validation images: at or above
    it the verdict is fake. ``temperature`` divides a margin so that it is calibrated, and is fitted
    on validation images, too. ``options`` are the network's own arguments. ``data`` is the
    fingerprint of the training images. ``familiar`` says what validation images look like
    (``facetell.images.familiarity``); empty: nothing is known. ``frame`` says how faces lie in the
    training images (``facetell.images.alignment``); None: it is not known.
    """

    network: str
    width: float
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    threshold: float
    data: str
    temperature: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    familiar: dict[str, Any] = field(default_factory=dict)
    frame: str | None = None
    labels: tuple[str, str] = ("real", "fake")


class Detector(nn.Module):
    """Maps RGB in [0, 1], float (B, 3, S, S), to logits (B, 2) for (real, fake).

    Normalisation is part of the detector, so that perturbations, saliency and exported models all
    live in the space of pixels.

    >>> network = build("simplenet", image_size=64)
    >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).eval()
    >>> images = torch.rand(4, 3, 64, 64)
    >>> detector(images).shape, detector.margin(images).shape
    (torch.Size([4, 2]), torch.Size([4]))
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        card: Card | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._card = card
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Rebuild a saved detector in evaluation mode, on the processor.

        Raises
        ------
        UserError : the file is missing, cut off, not one of ours, or does not fit its network.

        >>> network = build("simplenet", image_size=64)
        >>> detector = Detector(network, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        >>> card = Card(network="simplenet", width=1.0, image_size=64, mean=(0.5, 0.5, 0.5),
        ...             std=(0.5, 0.5, 0.5), threshold=0.3, data="")
        >>> save(detector, card, "simplenet.safetensors")
        >>> Detector.load("simplenet.safetensors").card.threshold
        0.3
        """
        try:
            with safe_open(path, framework="pt") as file:
                card = card_of(file.metadata() or {})
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            network = build(
                card.network, width=card.width, image_size=card.image_size, **card.options
            )
            network.load_state_dict(weights)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{path} is not a facetell weights file, is cut off, or is of another version of "
                f"facetell ({brief(error)}); train it again"
            ) from error
        return cls(network, card.mean, card.std, card).eval()

    @property
    def card(self) -> Card:
        """What the weights file says of itself; UserError of a detector that has none yet."""
        if self._card is None:
            raise UserError("this detector has no card: it was not loaded from a weights file")
        return self._card

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network((images - self.mean) / self.std)

    def margin(self, images: torch.Tensor) -> torch.Tensor:
        """Fake logit - real logit, float32 (B,); sigmoid of it is the probability of fake."""
        logits = self(images).float()
        return logits[:, 1] - logits[:, 0]


def card_of(metadata: dict[str, str]) -> Card:
    """The card in the metadata of a weights file; TypeError if it is not whole. What an older
    version did not know is left at its default."""
    known = [name for name in Card.__dataclass_fields__ if name in metadata]
    values = {name: json.loads(metadata[name]) for name in known}
    lists = {name: tuple(item) for name, item in values.items() if isinstance(item, list)}
    return Card(**(values | lists))


def save(detector: Detector, card: Card, path: str | Path) -> None:
    """Write weights (safetensors) with the card in the file's metadata."""
    metadata = {name: json.dumps(value) for name, value in asdict(card).items()}
    weights = {name: value.contiguous() for name, value in detector.network.state_dict().items()}
    with whole(path) as temporary:
        save_file(weights, temporary, metadata=metadata)
        _order_metadata(temporary)


def _order_metadata(path: Path) -> None:
    """Sort the metadata in a safetensors header, which are written in random order.

    The same weights must be the same bytes, or dvc would take them for changed.
    """
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= size, "the header has grown by sorting"
        file.seek(8)
        file.write(text.ljust(size))  # padded with spaces, as the format allows
