"""From packed bytes to batches of pixels, for training and for scoring alike."""

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from facetell.errors import UserError
from facetell.images import decode
from facetell.packed import Packed
from facetell.seeding import seed_of

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

AUGMENTATIONS: dict[str, Callable[[int], Callable[[torch.Tensor], torch.Tensor]]] = {
    "none": lambda size: v2.Identity(),
    "flip": lambda size: v2.RandomHorizontalFlip(),
    "course": lambda size: v2.Compose([v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()]),
}


def fit(pixels: np.ndarray, size: int) -> torch.Tensor:
    """Shrink or enlarge uint8 (H, W, 3) to uint8 (3, size, size): shorter side, then the centre.

    This is the only way by which an image reaches a detector, in training, scoring, explaining
    and for a user's own photo.
    """
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    if image.shape[1:] == (size, size):
        return image
    return F.center_crop(F.resize(image, [size], antialias=True), [size, size])


class Images(Dataset):
    """Items are (index, uint8 (3, size, size), label); index counts within the packed file."""

    def __init__(
        self, packed: Packed, size: int, *, augment: str = "none", seed: int = 0, epoch: int = 0
    ) -> None:
        if augment not in AUGMENTATIONS:
            raise UserError(f"augment: no {augment!r}; there are {', '.join(AUGMENTATIONS)}")
        self.packed, self.size, self.seed, self.epoch = packed, size, seed, epoch
        self.augment = None if augment == "none" else AUGMENTATIONS[augment](size)

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor, int]:
        image = fit(decode(self.packed.image(index)), self.size)
        if self.augment is not None:
            # seeded per image and epoch: the same whatever the number of workers, and no draw
            # is taken from the stream that dropout uses
            generator = torch.default_generator
            before = generator.get_state()
            generator.manual_seed(seed_of(self.seed, self.epoch, index))
            image = self.augment(image)
            generator.set_state(before)
        return index, image, int(self.packed.labels[index])


def training_batches(images: Images, batch_size: int, workers: int = 0) -> DataLoader:
    """Shuffled by the images' seed and epoch; a last batch of one is left out (batch norm)."""
    order = torch.Generator().manual_seed(seed_of(images.seed, images.epoch))
    return DataLoader(
        images,
        batch_size=batch_size,
        shuffle=True,
        generator=order,
        num_workers=workers,
        drop_last=len(images) % batch_size == 1 and len(images) > 1,
    )


def scoring_batches(images: Images, batch_size: int, workers: int = 0) -> DataLoader:
    """Every image once, in the order of the packed file."""
    return DataLoader(images, batch_size=batch_size, num_workers=workers)


def to_unit(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 (B, 3, S, S) to float32 in [0, 1] on the device."""
    return batch.to(device).float().div_(255)
