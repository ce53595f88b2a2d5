"""From encoded bytes to batches: archives, decoding, re-encoding, packed files, spectra."""
