# SPDX-License-Identifier: Apache-2.0
"""Eyes, nose and mouth of a face: O-Net, the last network of MTCNN (Zhang, Zhang, Li and Qiao,
"Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016).

The weights (0.8 MB, MIT) are part of this package, in ``weights``.
"""

import importlib.resources
from functools import lru_cache

import numpy as np
import torch
from safetensors.torch import load
from torch import nn

WEIGHTS = "mtcnn_onet.safetensors"
SIDE = 48  # px of what the network sees


class ONet(nn.Module):
    """Maps crops of faces, values in [-1, 1], (B, 3, 48, 48), to logits (no face, face), (B, 2),
    and to landmarks (B, 10): five times across, then five times down, in sides of the crop."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, out, kernel, pool in ((3, 32, 3, 3), (32, 64, 3, 3), (64, 64, 3, 2)):
            layers += [nn.Conv2d(channels, out, kernel), nn.PReLU(out)]
            layers += [nn.MaxPool2d(pool, 2, ceil_mode=True)]
        self.body = nn.Sequential(*layers, nn.Conv2d(64, 128, 2), nn.PReLU(128))
        self.dense = nn.Sequential(nn.Linear(1152, 256), nn.PReLU(256))
        self.face, self.landmarks = nn.Linear(256, 2), nn.Linear(256, 10)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # the weights are of a library that has columns before rows, and channels last
        features = self.dense(self.body(crops).permute(0, 3, 2, 1).flatten(1))
        return self.face(features), self.landmarks(features)


NAMES = {  # of the published weights
    "conv1": "body.0", "prelu1": "body.1", "conv2": "body.3", "prelu2": "body.4",
    "conv3": "body.6", "prelu3": "body.7", "conv4": "body.9", "prelu4": "body.10",
    "dense5": "dense.0", "prelu5": "dense.1", "dense6_1": "face", "dense6_3": "landmarks",
}  # fmt: skip


@lru_cache(maxsize=1)
def _network() -> ONet:
    file = importlib.resources.files("facetell.images") / "weights" / WEIGHTS
    network, weights = ONet(), {}
    for name, values in load(file.read_bytes()).items():
        layer, _, kind = name.rpartition(".")
        if layer in NAMES:  # the other is a box, which is not needed
            weights[f"{NAMES[layer]}.{kind}"] = values.float()
    network.load_state_dict(weights)
    return network.eval()


@torch.inference_mode()
def onet(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where eyes, nose and mouth lie in crops of faces, and whether they are faces.

    Parameters
    ----------
    crops : RGB uint8 (B, 48, 48, 3), each with a face that fills it, turned by at most 40 degrees.

    Returns
    -------
    Landmarks (B, 5, 2), (across, down) in sides from the left and the top, in the order of
    ``facetell.images.faces.LANDMARKS``; and P(face), (B,).

    >>> landmarks, probability = onet(np.zeros((2, 48, 48, 3), np.uint8))
    >>> landmarks.shape, bool(probability.max() < 0.5)
    ((2, 5, 2), True)
    """
    values = torch.from_numpy(crops).permute(0, 3, 1, 2).float().sub(127.5).div(128)
    logits, points = _network()(values)
    across_down = points.view(-1, 2, 5).transpose(1, 2)
    return across_down.double().numpy(), logits.softmax(1)[:, 1].double().numpy()
