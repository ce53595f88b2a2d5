# SPDX-License-Identifier: Apache-2.0
"""All stages in one process, on data sets of a few images and networks that learn nothing."""

import copy
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from matplotlib.figure import Figure
from PIL import Image

from facetell.common import figure_style
from facetell.common.errors import UserError
from pipeline import (
    audit,
    baseline,
    compare,
    explain,
    fetch,
    pack,
    predict,
    report,
    score,
    split,
    train,
)
from support import ROOT, encoded

MODEL, SIZE = "simplenet", 50  # px: the least that the network takes
STAGES: dict[str, Callable[[], None]] = {
    "fetch": fetch.main,
    "split": split.main,
    "pack": pack.main,
    "audit": audit.main,
    "baseline": baseline.main,
    "predict baseline": lambda: predict.main("spectral"),
    "score baseline": lambda: score.main("spectral"),
    "train": lambda: train.main(MODEL),
    "predict": lambda: predict.main(MODEL),
    "score": lambda: score.main(MODEL),
    "explain": lambda: explain.main(MODEL),
    "compare": compare.main,
    "report": report.main,
}
SUITE = {"blur": {"sigma": [1]}, "flip": {}, "band_stop": {"band": [0, 1], "bands": 2}}


def settings(recipe: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The committed parameters with one small model, one epoch, and less of everything else.

    ``recipe`` changes the recipe; ``changes`` are by dotted key with ``__`` for the dot.
    """
    found = yaml.safe_load((ROOT / "params.yaml").read_text())
    model = found["models"]["simplenet"] | {"quick": {}}
    found |= {"model": MODEL, "models": {MODEL: model}, "headline": MODEL}
    found["recipes"]["quick"] |= {"epochs": 1, "image_size": SIZE, "precision": "float32"}
    found["recipes"]["quick"] |= recipe or {}
    found["data"]["image_size"] = None
    found["predict"]["suites"]["quick"] = copy.deepcopy(SUITE)
    found["score"]["resamples"] = 20
    quick = found["explain"]["suites"]["quick"]
    quick |= {"methods": ["gradcam", "saliency"], "permutations": 9}
    quick |= {"activation": {"layers": 2, "channels": 2, "steps": 2}}
    quick["trials"] |= {"images": 4, "depths": 1, "steps": 2, "stops": 2, "draws": 1}
    for key, value in changes.items():
        *path, last = key.split("__")
        section = found
        for part in path:
            section = section[part]
        section[last] = value
    return found


def of_folder(root: Path, **changes: Any) -> dict[str, Any]:
    """``settings`` for the user's own folder ``root``."""
    own = {"layout": "folder", "use": "all", "root": str(root)}
    return settings(
        **{"data__name": "own", "data__sets": {"own": own}, "data__frame": None} | changes
    )


def drawn(figure: Figure, path: str | Path, **options: Any) -> None:
    """In place of ``savefig``, which takes most of the time: everything is drawn, without layout,
    and the picture is a dot."""
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    Path(path).write_bytes(encoded(Image.new("RGB", (1, 1))))


@contextmanager
def inside(home: Path, parameters: Mapping[str, Any]) -> Iterator[None]:
    """In a workspace with these parameters."""
    before = Path.cwd()
    home.mkdir(parents=True, exist_ok=True)
    (home / "params.yaml").write_text(yaml.safe_dump(dict(parameters), sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", home)
    shutil.copytree(ROOT / "plots/templates", home / "plots/templates", dirs_exist_ok=True)
    os.chdir(home)
    try:
        with patch.object(Figure, "savefig", drawn), patch.object(figure_style, "WRITERS", 1):
            yield
    finally:
        os.chdir(before)


def of_rendered(**changes: Any) -> dict[str, Any]:
    """``settings`` for a rendered set of so many images: ``train``, ``valid``, ``test``, and
    ``singles_per_kind``."""
    content = {
        name: changes.pop(name, 0) for name in ("train", "valid", "test", "singles_per_kind")
    }
    found = settings(**changes)
    found["data"]["sets"]["demo"]["render"] = {"size": 32, "seed": 0} | content
    return found


def through(home: Path, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Run every stage in its order: ("", "") where all went through, else the stage that refused
    and what it said. Anything but a refusal is raised."""
    with inside(home, parameters):
        for name, stage in STAGES.items():
            try:
                stage()
            except UserError as error:
                return name, str(error)
    return "", ""
