# SPDX-License-Identifier: Apache-2.0
"""From encoded bytes to batches: archives, decoding, re-encoding, packed files, spectra."""
