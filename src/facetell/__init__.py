# SPDX-License-Identifier: Apache-2.0
"""facetell: train, stress-test and explain detectors of AI-generated faces.

``Detector.load(path).predict(photos)`` judges photos, and ``explain(detector, images)`` shows where
it looked. Both are imported when they are first asked for, as torch takes seconds to import.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facetell.app.detector import Detector
    from facetell.app.prediction import Prediction
    from facetell.explain.engine import explain

__version__ = "0.1.0"
__all__ = ["Detector", "Prediction", "explain"]
_WHERE = {"Detector": "app.detector", "Prediction": "app.prediction"}


def __getattr__(name: str) -> Any:
    """``Detector`` and ``Prediction``; ``explain`` is the package of that name, which is called
    like the function in it."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"facetell.{_WHERE[name]}"), name)
    if name == "explain":
        return importlib.import_module("facetell.explain")
    raise AttributeError(f"module 'facetell' has no attribute {name!r}")


# Libraries read these once, when torch is imported, so they are chosen here, before anything else
# of facetell is; after ``import torch`` they have no effect. What the user has set stays, and
# processes that are started later inherit it.
#
# Threads of OpenMP spin while they wait for each other. Beside another busy process that keeps the
# cores from those that have work: benchmarks/beside.py measures it. GNU's runtime still spins a few
# microseconds, which costs the others nothing: sleeping at once makes a lone training slower.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ["GOMP_SPINCOUNT"] = "1000"
# OpenBLAS does the same, and its threads gain nothing on the small systems that are solved here:
# an imputation of ROAD (64 px, half of the pixels) took 1,071 ms beside a busy process with two
# threads, and 7 ms with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What Apple's and Intel's accelerators lack is computed on the processor, where torch can do that.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
os.environ.setdefault("PYTORCH_ENABLE_XPU_FALLBACK", "1")
