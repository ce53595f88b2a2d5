# SPDX-License-Identifier: Apache-2.0
"""A made-up test set whose fakes carry a bright square, and a network that looks at just that."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from timm.models import register_model
from torch import nn

from facetell.dataset.layouts import PRESOCIAL
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.models.detector import Detector
from support import encoded, write_zip

SIZE, PAIRS, SIDE = 32, 24, 8


class Bright(nn.Module):
    """Fake where something is bright: two layers, pooling, and logits far apart."""

    feature_info = ({"module": "first"}, {"module": "second"})

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            for layer, bias in ((self.first[0], -0.6), (self.second[0], 0.0)):
                layer.weight.fill_(1 / layer.weight[0].numel())
                layer.bias.fill_(bias)
            self.head.weight.copy_(torch.tensor([[0.0] * 4, [3000.0] * 4]))
            self.head.bias.copy_(torch.tensor([8.0, 0.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))


@register_model
def bright_squares(pretrained: bool = False, num_classes: int = 2, **_) -> Bright:
    return Bright()


def square_detector() -> Detector:
    return Detector(bright_squares(), (0.0,) * 3, (1.0,) * 3).eval()


def square_images(home: Path, split: str = "test") -> tuple[Images, pd.DataFrame]:
    """Grey noise, and fakes with a bright square at a place of their own: packed into
    ``home/test``, with their rows of the manifest. Another ``split`` has other images of
    other persons."""
    random, rows, files = np.random.default_rng(["test", "valid"].index(split)), [], {}
    for pair in range(PAIRS):
        real, twin = (random.integers(60, 140, (SIZE, SIZE, 3), dtype=np.uint8) for _ in "ab")
        top, left = random.integers(0, SIZE - SIDE, 2)
        fake, mask = twin.copy(), np.zeros((SIZE, SIZE), np.uint8)
        fake[top : top + SIDE, left : left + SIDE] = 250
        mask[top : top + SIDE, left : left + SIDE] = 1
        for name, pixels in (("real", real), ("fake", fake), ("twin", twin), ("mask", mask)):
            files[f"{split}/{name}{pair}.png"] = encoded(Image.fromarray(pixels))
        kind = "wave" if pair % 2 else "wave+seam"
        mask, twin = (f"{split}/{name}{pair}.png" for name in ("mask", "twin"))
        rows.append((f"{split}/real{pair}", 0, f"{split}{pair}", "", "", ""))
        rows.append((f"{split}/fake{pair}", 1, f"{split}{pair}", mask, twin, kind))
    table = pd.DataFrame(rows, columns=["id", "label", "person", "mask", "twin", "artefacts"])
    table["path"] = table["id"] + ".png"
    table["sha256"] = [hashlib.sha256(files[path]).hexdigest() for path in table["path"]]
    table = table.assign(set="set", platform=PRESOCIAL, laundered=False, regions="", split=split)
    table["generator"] = table["label"].map({0: "", 1: "squares"})
    table["bytes"] = [len(files[path]) for path in table["path"]]
    pack([table], {"set": write_zip(home / f"{split}.zip", files)}, home / split)
    return Images(Packed(home / split), SIZE), table
