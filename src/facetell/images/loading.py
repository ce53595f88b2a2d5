# SPDX-License-Identifier: Apache-2.0
"""From packed bytes to batches of pixels, for training and for scoring alike."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from facetell.common.distributed import ALONE, World
from facetell.common.machine import memory_format, pins_memory
from facetell.common.seeding import seed_of
from facetell.common.vision import functional as F
from facetell.images.decoding import decode_inspected
from facetell.images.packed import Packed

KEPT = 256 * 2**20  # bytes of decoded pixels that a set may hold in memory
Sampling = Literal["random", "person"]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def fit(pixels: np.ndarray, size: int) -> torch.Tensor:
    """Shrink or enlarge uint8 (H, W, 3) to uint8 (3, size, size): shorter side, then the centre.

    This is the only way by which an image reaches a detector, in training, scoring, explaining
    and for a user's own photo.

    >>> fit(np.zeros((100, 80, 3), np.uint8), 64).shape
    torch.Size([3, 64, 64])
    """
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    if image.shape[1:] == (size, size):
        return image
    return F.center_crop(F.resize(image, [size], antialias=True), [size, size])


class Images(Dataset):
    """Packed images as a detector gets them.

    Items are (index, uint8 (3, size, size), label); index counts within the packed file. With
    ``keep``, for whoever goes through them again and again, a set whose pixels fit into ``KEPT``
    bytes is decoded once; in processes that decode beside the training it is not kept.

    >>> from facetell.dataset.demo import packed_demo
    >>> images = Images(packed_demo("demo")["test"], size=32)
    >>> index, pixels, label = images[0]
    >>> index, pixels.shape, pixels.dtype
    (0, torch.Size([3, 32, 32]), torch.uint8)
    """

    def __init__(self, packed: Packed, size: int, *, keep: bool = False) -> None:
        self.packed, self.size = packed, size
        self._keep = keep and len(packed) * 3 * size**2 <= KEPT
        self._kept: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor, int]:
        return index, self._pixels(index), int(self.packed.labels[index])

    def _pixels(self, index: int) -> torch.Tensor:
        if index in self._kept:
            return self._kept[index]
        pixels = fit(decode_inspected(self.packed.image(index)), self.size)
        if self._keep and get_worker_info() is None:
            self._kept[index] = pixels.contiguous()
        return pixels


class TrainingImages(Images):
    """The same, augmented anew in every ``epoch``, which the caller counts up.

    ``augment`` takes and gives uint8 (3, size, size). What it draws, and the order of
    ``training_order``, follow from ``seed``, the epoch and the image alone.
    """

    def __init__(
        self,
        packed: Packed,
        size: int,
        *,
        augment: Callable[[torch.Tensor], torch.Tensor] | None,
        seed: int,
    ) -> None:
        super().__init__(packed, size, keep=True)
        self.augment, self.seed, self.epoch = augment, seed, 0

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor, int]:
        index, image, label = super().__getitem__(index)
        if self.augment is not None:
            # seeded per image and epoch: the same whatever the number of workers, and no draw
            # is taken from the stream that dropout uses
            generator = torch.default_generator
            before = generator.get_state()
            generator.manual_seed(seed_of(self.seed, self.epoch, index))
            image = self.augment(image)
            generator.set_state(before)
        return index, image, label


def training_order(
    images: TrainingImages,
    batch_size: int,
    sampling: Sampling = "random",
    processes: int = 1,
) -> list[list[int]]:
    """Indices of each batch of an epoch, shuffled by the images' seed and epoch.

    With ``sampling="person"`` persons are shuffled instead, and the images of one stay together:
    most batches then hold a fake beside real images of the same face, as each fake is put beside
    its original by Shiohara and Yamasaki ("Detecting Deepfakes with Self-Blended Images", 2022).
    What both share cancels out of the gradient, and what is left is the tells.

    A last batch of one is left out: batch norm has nothing to average there. So is one that has
    fewer images than ``processes`` that share it.

    >>> from facetell.dataset.demo import packed_demo
    >>> images = TrainingImages(packed_demo("demo")["train"], 32, augment=None, seed=0)
    >>> names = images.packed.persons
    >>> [len({names[index] for index in batch}) for batch in training_order(images, 8, "person")]
    [2, 2]
    """
    order = torch.Generator().manual_seed(seed_of(images.seed, images.epoch))
    shuffled = torch.randperm(len(images), generator=order).numpy()
    if sampling == "person":
        first_seen, _ = pd.factorize(images.packed.person_codes[shuffled])
        shuffled = shuffled[np.argsort(first_seen, kind="stable")]
    indices = shuffled.tolist()
    batches = [indices[at : at + batch_size] for at in range(0, len(indices), batch_size)]
    if len(batches) > 1 and len(batches[-1]) < min(batch_size, max(2, processes)):
        batches.pop()
    return batches


def training_batches(
    images: TrainingImages,
    order: list[list[int]],
    workers: int = 0,
    world: World = ALONE,
    *,
    pinned: bool = False,
) -> DataLoader:
    """The part of every batch that falls to this process, in the order given; ``pinned`` memory is
    copied faster to the accelerators that can use it."""
    mine = [batch[world.rank :: world.size] for batch in order]
    return DataLoader(
        images,
        batch_sampler=mine,
        num_workers=workers,
        pin_memory=pinned,
    )


def scoring_batches(
    images: Images, batch_size: int, workers: int = 0, world: World = ALONE
) -> DataLoader:
    """Every image once, in the order of the packed file; with n processes, every nth batch."""
    every = list(range(len(images)))
    batches = [every[at : at + batch_size] for at in range(0, len(every), batch_size)]
    return DataLoader(images, batch_sampler=batches[world.rank :: world.size], num_workers=workers)


def to_unit(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 (B, 3, S, S) to float32 in [0, 1] on the device, in the memory format that it wants.

    >>> to_unit(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), torch.device("cpu")).flatten()
    tensor([1., 1., 1.])
    """
    pixels = batch.to(device, non_blocking=pins_memory(device))
    return pixels.to(torch.float32, memory_format=memory_format(device)).div_(255)


def batch_of(images: Images, rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """Some of the images by their indices, float32 RGB in [0, 1] (B, 3, S, S) on the device."""
    return to_unit(torch.stack([images[row][1] for row in rows]), device)
