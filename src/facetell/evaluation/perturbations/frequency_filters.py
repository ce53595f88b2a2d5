# SPDX-License-Identifier: Apache-2.0
"""Filters that ask which spatial frequencies a detector uses (Yin et al. 2019, for Fourier).

In the DCT an image continues as its mirror image, so that its edges are no jump with frequencies
of their own, as in the Fourier transform. Frequencies are shares of Nyquist's, half a cycle per
pixel: that of coefficient (u, v) of S x S is sqrt(u^2 + v^2) / S, at most sqrt(2) in the corner.
"""

from functools import cache

import torch

from facetell.evaluation.perturbations.registry import Ids, perturbation, within
from facetell.evaluation.perturbations.separable import separable
from facetell.images.spectra import dct_matrix


@perturbation("Low-pass, cutoff (share of Nyquist)", level="cutoff", probe=True)
def low_pass(images: torch.Tensor, ids: Ids, *, cutoff: float) -> torch.Tensor:
    """Only frequencies below ``cutoff`` (0.01 to 1, share of Nyquist) and the mean stay."""
    within("cutoff", cutoff, 0.01, 1)
    kept = _radii(images.shape[-1]) < cutoff
    kept[0, 0] = True
    return _part(images, kept).clamp_(0, 1)


@perturbation("Band left out (0: lowest)", level="band", probe=True)
def band_stop(images: torch.Tensor, ids: Ids, *, band: int, bands: int = 8) -> torch.Tensor:
    """Frequencies from ``band / bands`` to ``(band + 1) / bands`` of Nyquist's are left out.

    The mean always stays. Beyond Nyquist, in the corners, is the last band's.
    """
    within("bands", bands, 2, 32, whole=True)
    within("band", band, 0, bands - 1, whole=True)
    radii = _radii(images.shape[-1])
    if band == bands - 1:
        return _part(images, radii < band / bands).clamp_(0, 1)
    removed = (radii >= band / bands) & (radii < (band + 1) / bands)
    removed[0, 0] = False
    return (images - _part(images, removed)).clamp_(0, 1)


def _part(images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The part of images (B, 3, S, S) that the ``wanted`` (S, S) coefficients make up."""
    # the transform of no more rows and columns than are wanted
    extent = int(wanted.any(0).nonzero().max()) + 1 if wanted.any() else 1
    basis = dct_matrix(images.shape[-1], torch.device("cpu"))[:extent].to(images)
    coefficients = separable(images, basis) * wanted[:extent, :extent].to(images)
    return separable(coefficients, basis.T)


@cache
@torch.inference_mode(False)  # kept for calls that want gradients, too
def _radii(size: int) -> torch.Tensor:
    axis = torch.arange(size, dtype=torch.float64) / size
    return torch.sqrt(axis[:, None] ** 2 + axis**2)
