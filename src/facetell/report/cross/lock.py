# SPDX-License-Identifier: Apache-2.0
"""What a result was made with, as dvc.lock of its experiment tells.

params.yaml would not do: it may have been changed since.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

TRAINING = ("train@", "baseline")  # how the names of stages that train begin
RECIPE = ("data.image_size", "data.recipe", "models.", "recipes.", "train.")  # and of parameters
CODE = ("src/", "pipeline/")  # and of paths


class Stale(Exception):
    """A result is not of the data and code that lie beside it."""


class Origin(NamedTuple):
    """What an output was made with, through all stages upstream.

    params : parameters by stage.
    files : md5 by path of all dependencies.
    """

    params: dict[str, dict[str, Any]]
    files: dict[str, str]

    def recipe(self) -> dict[str, Any]:
        """Parameters by which a model was trained; what was found by training is not among them."""
        return {
            name: value
            for stage, params in self.params.items()
            if stage.startswith(TRAINING)
            for name, value in params.items()
            if name.startswith(RECIPE)
        }

    def code(self) -> str:
        """A digest of all code."""
        used = {path: md5 for path, md5 in self.files.items() if path.startswith(CODE)}
        return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def origin(stages: Mapping[str, Any], path: str, content: bytes) -> Origin:
    """What made the file ``path`` with this ``content``.

    ``stages`` are those of a dvc.lock.

    Raises
    ------
    Stale : a stage upstream has since written something else, or ``path`` is of no stage.
    """
    makers = {
        out["path"]: (name, out.get("md5"))
        for name, stage in stages.items()
        for out in stage.get("outs", ())
    }
    params: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    if path not in makers:
        raise Stale(f"dvc.lock has no stage that made {path}")
    waiting = [(path, hashlib.md5(content, usedforsecurity=False).hexdigest())]
    while waiting:
        path, md5 = waiting.pop()
        files[path] = md5
        if path not in makers:
            continue
        stage, made = makers[path]
        if made != md5:
            raise Stale(f"{path} is not what its stage wrote last: run dvc repro")
        if stage not in params:
            params[stage] = stages[stage].get("params", {}).get("params.yaml", {})
            waiting += [(dep["path"], dep.get("md5", "")) for dep in stages[stage].get("deps", ())]
    return Origin(params, files)
