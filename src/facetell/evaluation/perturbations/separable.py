# SPDX-License-Identifier: Apache-2.0
"""Operators that act on rows and columns alike, as one matrix on both sides of an image."""

import torch


def separable(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """``matrix`` (R, S) along both axes of (B, 3, S, S): (B, 3, R, R).

    Even where most of the matrix is zero, as a blur's, this is faster than a convolution.
    """
    return matrix @ (images.contiguous() @ matrix.T)
