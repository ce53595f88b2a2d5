# SPDX-License-Identifier: Apache-2.0
"""A detector as people use it in Python: loaded from a file, asked about photos."""

from itertools import islice
from pathlib import Path
from typing import Any, Self

from facetell.app.prediction import Prediction, predicted
from facetell.images.photos import photos_of
from facetell.models import detector, hub


class Detector(detector.Detector):
    """A detector of ``facetell.models.detector`` that takes photos in whatever form they are.

    ``facetell.Detector`` is this class. ``load`` gives one in evaluation mode, on the processor;
    as a module, it maps RGB in [0, 1], float (B, 3, S, S), to logits (B, 2) for (real, fake).
    """

    @classmethod
    def from_pretrained(
        cls,
        repo: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
    ) -> Self:
        """A detector of the Hugging Face Hub, or of a folder that ``facetell card`` wrote.

        Parameters
        ----------
        repo : ``owner/name``, or a folder.
        revision : of the repository: a branch, a tag or a commit; None: the newest.
        token : for a repository that is private or gated; None: that of ``hf auth login``.
        cache_dir : where downloads are kept; None: the Hub's own cache.

        Raises
        ------
        UserError : there is no such repository or folder, it is closed to the user or has no
            detector of facetell, the Hub cannot be reached, or the download was cut off.

        >>> from facetell.app.card import write_card
        >>> from facetell.models import build
        >>> from facetell.models.detector import Card, save
        >>> network = build("simplenet", image_size=64)
        >>> card = Card(network="simplenet", width=1.0, image_size=64, mean=(0.5, 0.5, 0.5),
        ...             std=(0.5, 0.5, 0.5), threshold=0.3, data="")
        >>> save(Detector(network, card.mean, card.std), card, "mine.safetensors")
        >>> _ = write_card("mine.safetensors", "mine")
        >>> Detector.from_pretrained("mine").card.network
        'simplenet'
        """
        return cls.load(hub.download(repo, revision=revision, token=token, cache_dir=cache_dir))

    def predict(self, images: Any, batch_size: int = 64) -> list[Prediction]:
        """Judge photos, each fitted as the images were that the detector was trained on.

        Parameters
        ----------
        images : one photo, a batch of them, or any of these in an iterable. A photo is a path, the
            bytes of a file, a PIL image, or RGB in an array or tensor: uint8, or floats in [0, 1],
            of shape (H, W, 3) or (3, H, W); a batch has one dimension more.
        batch_size : photos in a forward pass, which is what bounds the memory.

        Raises
        ------
        UserError : a photo that cannot be used, or a detector without a card.

        >>> import numpy as np
        >>> from facetell.models import build
        >>> from facetell.models.detector import Card
        >>> network = build("simplenet", image_size=64)
        >>> card = Card(network="simplenet", width=1.0, image_size=64, mean=(0.5, 0.5, 0.5),
        ...             std=(0.5, 0.5, 0.5), threshold=0.3, data="")
        >>> detector = Detector(network, card.mean, card.std, card)
        >>> (found,) = detector.predict(np.zeros((80, 80, 3), np.uint8))
        >>> found.verdict in ("real", "fake"), 0 < found.score < 1
        (True, True)
        """
        photos, found = photos_of(images), []
        while batch := list(islice(photos, batch_size)):
            found += predicted(self, batch)
        return found
