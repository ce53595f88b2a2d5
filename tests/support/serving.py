# SPDX-License-Identifier: Apache-2.0
"""Tiny detectors, and servers of them: inside a test, and on a port of their own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from facetell.app.serve.api import application
from facetell.app.serve.limits import Limits
from facetell.app.serve.models import Models
from facetell.models import build
from facetell.models.detector import Card, Detector, save
from support import encoded

HALF = (0.5, 0.5, 0.5)


def weights(folder: Path, name: str, network: str = "simplenet", size: int = 64) -> Path:
    """A detector with random weights of its own."""
    torch.manual_seed(len(name) + size)
    path = folder / f"{name}.safetensors"
    card = Card(network=network, width=1.0, image_size=size, mean=HALF, std=HALF,
                threshold=0.1, temperature=2.0, data="")  # fmt: skip
    save(Detector(build(network, image_size=size), HALF, HALF), card, path)
    return path


def photo(size: tuple[int, int] = (96, 96), seed: int = 0) -> Image.Image:
    """Coarse noise, which every change of a photo changes."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


PHOTO = encoded(photo(), "JPEG", quality=95)


@contextmanager
def client(files: list[Path], limits: Limits | None = None) -> Iterator[TestClient]:
    """A client of a server inside this process."""
    limits = limits or Limits()
    app = application(Models(files, limits.memory_bytes), limits)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


@contextmanager
def served(files: list[Path], limits: Limits | None = None) -> Iterator[str]:
    """The address of a server on a free port, in a thread."""
    limits = limits or Limits()
    app = application(Models(files, limits.memory_bytes), limits)
    config: Any = {"http": "h11", "log_level": "error", "server_header": False}
    server = uvicorn.Server(uvicorn.Config(app, port=0, **config))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server has ended"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
