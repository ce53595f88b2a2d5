# SPDX-License-Identifier: Apache-2.0
"""The embedded set `demo`: rendered faces (drawn from random numbers, not photos) with planted
artefacts and exact masks, so that the pipeline runs without any download."""

from __future__ import annotations

from .artefacts import KINDS
from .plan import GENERATORS, RenderedSet, Spec, plan
from .render import Rendered, render
from .writing import write_archive

__all__ = [
    "GENERATORS",
    "KINDS",
    "Rendered",
    "RenderedSet",
    "Spec",
    "plan",
    "render",
    "write_archive",
]
