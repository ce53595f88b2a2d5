"""One image with all that was made of it: what figures of explanations are drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from facetell.explain.maps import Explanation

GROUPS = {  # (label, verdict) to the name of the group in figures
    (1, 1): "fake, found",
    (1, 0): "fake, missed",
    (0, 0): "real, passed",
    (0, 1): "real, accused",
}


@dataclass(frozen=True)
class Example:
    """An image, its verdict and its maps.

    ``image`` RGB uint8 (S, S, 3); ``margin`` and ``threshold`` margins (fake logit - real logit);
    ``label`` 1 = fake, 0 = real, None = unknown; ``saliency`` (S, S) >= 0; ``maps[method][layer]``
    (h, w) raw and signed, with ``status[method][layer]``, "ok" or why the map is not to be
    believed; ``titles`` name the methods in words; ``mask`` bool (S, S), where artefacts were
    planted, if it is known; ``name`` says which image, or what was done to it.
    """

    name: str
    image: np.ndarray
    label: int | None
    margin: float
    threshold: float
    saliency: np.ndarray
    maps: dict[str, dict[str, np.ndarray]]
    status: dict[str, dict[str, str]]
    titles: dict[str, str] = field(default_factory=dict)
    mask: np.ndarray | None = None

    @property
    def score(self) -> float:
        """P(fake) in [0, 1]."""
        return float(expit(self.margin))

    @property
    def verdict(self) -> str:
        """``fake`` at or above the threshold, else ``real``."""
        return "fake" if self.margin >= self.threshold else "real"

    @property
    def group(self) -> str:
        """Label and verdict in words, such as "fake, missed"; the verdict alone of no label."""
        if self.label is None:
            return self.verdict
        return GROUPS[self.label, int(self.verdict == "fake")]


def examples(
    found: Explanation,
    pixels: np.ndarray,
    names: Sequence[str],
    threshold: float,
    *,
    labels: Sequence[int] | None = None,
    masks: Sequence[np.ndarray | None] | None = None,
) -> list[Example]:
    """One ``Example`` for each image of a batch; ``pixels`` uint8 (B, S, S, 3)."""
    return [
        Example(
            name=names[row],
            image=pixels[row],
            label=None if labels is None else int(labels[row]),
            margin=float(found.margin[row]),
            threshold=threshold,
            saliency=found.saliency[row],
            maps={m: {at: maps[row] for at, maps in by.items()} for m, by in found.maps.items()},
            status={
                m: {at: str(said[row]) for at, said in by.items()} for m, by in found.status.items()
            },
            titles=found.titles,
            mask=None if masks is None else masks[row],
        )
        for row in range(len(found))
    ]
