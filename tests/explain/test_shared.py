# SPDX-License-Identifier: Apache-2.0
"""Explanations that processes share are those of one process, to the last bit."""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from support.squares import square_detector, square_images

from facetell.common.distributed import current, launch
from facetell.explain.survey.kept_maps import kept_maps, recommended
from facetell.explain.survey.records import of_planted, of_survey, of_trials
from facetell.explain.survey.replaced import replaced_regions
from facetell.explain.survey.survey import survey
from facetell.explain.test_set import TestSet
from facetell.explain.trust.planted_benchmark import planted_benchmark
from facetell.explain.trust.trials import TrialSettings, trials
from facetell.models.inference import margins

METHODS = ("gradcam", "saliency", "smoothgrad")
SETTINGS = TrialSettings(images=5, depths=2, steps=2, fractions=(0.5,), draws=1, stops=2)


def explained(home: str) -> None:
    """What each process does: it leaves all that it has found in a file of its own."""
    torch.set_num_threads(1)
    detector, world = square_detector(), current()
    own = Path(home) / f"{world.rank}of{world.size}"
    own.mkdir()
    images, manifest = square_images(own)
    manifest["regions"] = np.where(manifest["label"] == 1, "nose+mouth", "")
    clean = margins(detector, images, torch.device("cpu"), world=world)
    without = np.where(manifest["label"] == 1, -8.0, clean)
    tested = TestSet(
        detector=detector, images=images, manifest=manifest, threshold=0.0, margins=clean,
        margins_without=without, frame="ffhq", resamples=50, seed=0, world=world,
    )  # fmt: skip
    seen = survey(tested, per_group=2, permutations=9)
    truth = planted_benchmark(tested, tested, methods=METHODS, most=20)
    facts = of_survey("squares", seen) | of_planted(truth)
    facts |= of_trials(trials(tested, truth, METHODS, SETTINGS))
    facts["replaced"] = replaced_regions(tested, methods=METHODS, most=20).to_dict("records")
    kept = kept_maps(tested, range(40), recommended({}, seen.layer))
    maps = [kept.saliency, kept.relevance, *kept.scales.values(), seen.means["gradcam"].real.mean]
    (own / "facts.json").write_text(json.dumps(facts))
    (own / "maps.pickle").write_bytes(pickle.dumps([clean, *maps]))
    (own / "examples").write_text(" ".join(example.name for example in seen.examples))


def test_processes_find_what_one_finds(tmp_path):
    """48 images and 24 fakes by 8 and 5: no process has as many as another."""
    explained(str(tmp_path))
    launch(explained, 2, str(tmp_path))
    for name in ("facts.json", "maps.pickle", "examples"):
        alone, *shared = ((tmp_path / who / name).read_bytes() for who in ("0of1", "0of2", "1of2"))
        assert len(alone) > 20
        assert shared == [alone, alone], name
