# SPDX-License-Identifier: Apache-2.0
"""Two pictures that show the same thing, and when they count as one."""

from dataclasses import dataclass

NEAR = 36  # bits of the perceptual hash up to which two pictures count as copies
SAME = 0.99  # correlation of their pixels from which on they are one picture


@dataclass(frozen=True)
class Pair:
    """Two pictures, first < second by their index; distance in bits, correlation in [-1, 1].

    >>> Pair(0, 1, distance=40, correlation=0.95).copy
    False
    """

    first: int
    second: int
    distance: int
    correlation: float

    @property
    def copy(self) -> bool:
        """Whether both are one picture, not only alike (two outputs from nearly one latent)."""
        return self.distance <= NEAR or self.correlation >= SAME
