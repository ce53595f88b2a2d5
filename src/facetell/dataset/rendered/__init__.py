"""The embedded set `demo`: rendered faces (drawn from random numbers, not photos) with planted
artefacts and exact masks, so that the pipeline runs without any download."""

from __future__ import annotations

from .archive import write_archive
from .artefacts import KINDS
from .plan import GENERATORS, Spec, plan
from .render import Rendered, render

__all__ = ["GENERATORS", "KINDS", "Rendered", "Spec", "plan", "render", "write_archive"]
