# SPDX-License-Identifier: Apache-2.0
"""Training, scores, explanations and the baseline on the stand-in, against the processor.

``python -m support.standin_run FOLDER``, with the folders train, valid and test.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from facetell.common.machine import device
from facetell.evaluation.perturbations import suite
from facetell.evaluation.variant_margins import variant_margins
from facetell.explain import explain
from facetell.explain.registry import METHODS
from facetell.explain.trust.sanity import cascade
from facetell.images.loading import Images, batch_of
from facetell.images.packed import Packed
from facetell.models.detector import Detector
from facetell.models.inference import margins
from facetell.training.job import Engine
from facetell.training.spectral_baseline import fit
from support import ROOT, standin
from support.training import CPU, RECIPE, run

CHEAP = [name for name in METHODS if name not in ("attention_rollout", "gradient_rollout", "cam")]


def everything(home: Path, place: torch.device) -> dict[str, np.ndarray]:
    """What a run comes to on a device, by name."""
    recipe = dataclasses.replace(RECIPE, epochs=2, precision="bfloat16")
    if place.type == "cpu":  # what the stand-in does instead
        recipe = dataclasses.replace(recipe, precision="float32")
    with tempfile.TemporaryDirectory() as state:
        fitted = run(home, Path(state), recipe, engine=Engine(device=place))
    detector = fitted.detector
    assert detector.mean.device.type == place.type
    if place.type != "cpu":
        assert fitted.cost["device"] == "stand-in of the tests"
    images = Images(Packed(home / "test"), RECIPE.image_size)
    found: dict[str, Any] = {"log": [list(row.values()) for row in fitted.log]}
    found |= {"threshold": fitted.threshold, "margins": margins(detector, images, place)}
    suites = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["predict"]["suites"]
    found |= variant_margins(detector, images, suite(suites, "quick"), place)
    found |= explanations(detector, batch_of(images, [0, 1], place))
    train_set, valid_set = (Images(Packed(home / s), 64) for s in ("train", "valid"))
    found["baseline"] = margins(fit(train_set, valid_set, place, seed=0).detector, images, place)
    return {name: np.asarray(value) for name, value in found.items()}


def explanations(detector: Detector, images: torch.Tensor) -> dict[str, Any]:
    """Maps of every method that is defined for the network, and margins of randomised copies."""
    found: dict[str, Any] = {}
    for name in CHEAP:
        maps = explain(detector, images, methods=[name]).maps
        found |= {f"{name} {layer}": values for layer, values in maps[name].items()}
    for name, changed in cascade(detector, seed=0):
        with torch.no_grad():
            found[f"randomised {name}"] = changed.eval().margin(images).cpu().numpy()
    return found


def main(home: Path) -> None:
    torch.set_num_threads(1)
    place = device()
    assert place == standin.DEVICE
    there, here = everything(home, place), everything(home, CPU)
    assert there.keys() == here.keys()
    assert len(there) > 30
    assert {"aten::convolution_backward", "aten::_fused_adamw_"} <= set(standin.calls)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
