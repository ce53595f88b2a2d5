# SPDX-License-Identifier: Apache-2.0
"""The stages of dvc.yaml, one module each. Only here are parameters read and paths known.

The library is imported from the checkout that a stage stands in: dvc runs queued experiments in a
copy of the repository, and an installed facetell would be the main workspace's.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import facetell  # noqa: F401  (first of all: it sets what torch reads when it is imported)
from pipeline.stage import end_with_dvc

end_with_dvc()  # now, as stages import for seconds
