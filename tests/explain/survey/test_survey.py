"""A whole test set explained: a network that looks at one square, on fakes that carry it."""

import hashlib
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from support import encoded
from torch import nn

from facetell.dataset.layouts import PRESOCIAL
from facetell.explain.survey.records import of_planted, of_survey, of_trials
from facetell.explain.survey.survey import (
    Planted,
    batch_of,
    planted,
    planted_mask,
    survey,
    untrained,
)
from facetell.explain.trust.trials import RANDOM, Settings, depths, trials
from facetell.images.archive import open_archive
from facetell.images.loading import Images
from facetell.images.packed import Packed
from facetell.images.packing import pack
from facetell.models.detector import Detector
from facetell.models.inference import margins
from facetell.report.explanations import explain_report

CPU, SIZE, PAIRS, THRESHOLD = torch.device("cpu"), 32, 24, 0.0
SETTINGS = Settings(images=6, depths=2, steps=4, fractions=(0.2, 0.5), draws=2, stops=2)


class Bright(nn.Module):
    """Fake where something is bright: two layers, pooling, and logits far apart."""

    feature_info = ({"module": "first"}, {"module": "second"})

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            for layer, bias in ((self.first[0], -0.6), (self.second[0], 0.0)):
                layer.weight.fill_(1 / layer.weight[0].numel())
                layer.bias.fill_(bias)
            self.head.weight.copy_(torch.tensor([[0.0] * 4, [3000.0] * 4]))
            self.head.bias.copy_(torch.tensor([8.0, 0.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(x)).mean((2, 3)))


def detector() -> Detector:
    return Detector(Bright(), (0.0,) * 3, (1.0,) * 3).eval()


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> tuple[Images, pd.DataFrame, np.ndarray, np.ndarray]:
    """Grey noise, and fakes with a bright square at a place of their own; margins, and twins'."""
    home, random = tmp_path_factory.mktemp("survey"), np.random.default_rng(0)
    rows, files = [], {}
    for pair in range(PAIRS):
        real, twin = (random.integers(60, 140, (SIZE, SIZE, 3), dtype=np.uint8) for _ in "ab")
        top, left = random.integers(0, SIZE - 8, 2)
        fake, mask = twin.copy(), np.zeros((SIZE, SIZE), np.uint8)
        fake[top : top + 8, left : left + 8] = 250
        mask[top : top + 8, left : left + 8] = 1
        for name, pixels in (("real", real), ("fake", fake), ("twin", twin), ("mask", mask)):
            files[f"{name}{pair}.png"] = encoded(Image.fromarray(pixels))
        kind = "wave" if pair % 2 else "wave+seam"
        rows.append((f"real{pair}", 0, pair, "", "", ""))
        rows.append((f"fake{pair}", 1, pair, f"mask{pair}.png", f"twin{pair}.png", kind))
    with zipfile.ZipFile(home / "raw.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    table = pd.DataFrame(rows, columns=["id", "label", "person", "mask", "twin", "artefacts"])
    table["path"] = table["id"] + ".png"
    table["sha256"] = [hashlib.sha256(files[path]).hexdigest() for path in table["path"]]
    table = table.assign(set="set", platform=PRESOCIAL, laundered=False, regions="")
    with open_archive(home / "raw.zip") as archive:
        pack(table, {"set": archive}, home / "test.arrow")
    images = Images(Packed(home / "test.arrow"), SIZE)
    with_ = margins(detector(), images, CPU)
    return images, table, with_, np.where(table["label"] == 1, -8.0, with_)


@pytest.fixture(scope="module")
def found(case) -> Planted:
    images, test, with_, without = case
    methods = ("gradcam", "hirescam", "saliency")
    return planted(
        detector(), images, THRESHOLD, test, with_, without,
        methods=methods, most=100, seed=0, device=CPU,
    )  # fmt: skip


def surveyed(case, **options):
    images, test, _, _ = case
    settings = {"per_group": 3, "frame": None, "seed": 0, "permutations": 99, "device": CPU}
    return survey(detector(), images, THRESHOLD, test, **(settings | options))


def test_a_network_that_looks_at_the_artefact_is_seen_to(found):
    assert found.gate["passed"]
    assert {kind: len(fakes) for kind, fakes in found.fakes.items()} == {
        "single": PAIRS // 2, "several": PAIRS // 2}  # fmt: skip
    table = found.table(resamples=100, seed=0).set_index(["fakes", "source", "method", "layer"])
    for kind in ("single", "several"):
        assert table.loc[(kind, "trained", "gradcam", "first"), "rra"] > 0.9
        area = table.loc[(kind, "baseline", "random", "input"), "area"]
        assert area == pytest.approx(64 / SIZE**2)
        assert table.loc[(kind, "baseline", "random", "input"), "rra"] == pytest.approx(
            area, abs=0.06
        )
    assert set(table.index.get_level_values("source")) == {"trained", "untrained", "baseline"}


def test_fakes_that_are_not_told_by_the_artefact_are_left_out(case):
    images, test, with_, _ = case
    nothing = planted(
        detector(), images, THRESHOLD, test, with_, with_,  # twins look the same to it
        methods=("gradcam",), most=9, seed=0, device=CPU,
    )  # fmt: skip
    assert nothing.fakes == {"single": [], "several": []}
    assert nothing.boards == {}
    assert not nothing.gate["passed"]
    facts = of_planted(nothing, 20, 0)["planted"]
    assert facts["leaderboard"] == []


def test_a_set_of_single_artefacts_alone_is_gated_by_those(case):
    images, test, with_, without = case
    alone = test.assign(artefacts=test["artefacts"].str.replace("+seam", "", regex=False))
    found = planted(
        detector(), images, THRESHOLD, alone, with_, without,
        methods=("gradcam",), most=9, seed=0, device=CPU,
    )  # fmt: skip
    assert found.gate["passed"]
    assert set(found.boards) == {"single"}


def test_images_without_masks_have_no_benchmark(case, tmp_path):
    images, test, with_, without = case
    bare = test.assign(label=0)
    assert planted(
        detector(), images, THRESHOLD, bare, with_, without,
        methods=("gradcam",), most=9, seed=0, device=CPU,
    ) == Planted({})  # fmt: skip
    fakes_alone = planted(
        detector(), images, THRESHOLD, test.assign(label=1), with_, without,
        methods=("gradcam",), most=9, seed=0, device=CPU,
    )  # fmt: skip
    assert fakes_alone == Planted({})
    assert planted_mask(None, SIZE) is None
    assert planted_mask(encoded(Image.new("L", (4, 4))), SIZE) is None


def test_every_image_is_explained_once_and_groups_are_filled(case):
    seen = surveyed(case)
    assert seen.counts == {"real": PAIRS, "fake": PAIRS}
    means = seen.means["gradcam"]
    assert (means.real.n, means.fake.n) == (PAIRS, PAIRS)
    assert [example.group for example in seen.examples] == ["fake, found"] * 3 + [
        "real, passed"
    ] * 3
    assert means.difference().p_any <= 0.05  # fakes have a square, reals none
    assert seen.layer == "second"
    example = seen.examples[0]
    assert example.mask is not None
    assert example.verdict == "fake"


def test_relevance_by_region_is_for_an_images_own_class(case):
    seen = surveyed(case, frame="demo")
    table = seen.regions.table(resamples=20)
    assert set(table["class"]) == {"real", "fake"}
    assert table.groupby(["method", "class"])["area"].sum().to_numpy() == pytest.approx(1)
    facts = of_survey("bright", seen, 20, 0)
    assert len(facts["what_to_look_for"]) == 4  # two maps, two classes
    json.dumps(facts, allow_nan=False)


def test_one_class_has_no_difference(case, tmp_path):
    images, test, _, _ = case
    seen = surveyed((images, test.assign(label=1), None, None))
    assert seen.means == {}
    assert of_survey("bright", seen, 20, 0)["class_means"] == {}


def test_the_untrained_network_is_another_one_and_the_trained_is_left_alone(case):
    model = detector()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = untrained(model, seed=0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not torch.equal(other.network.first[0].weight, model.network.first[0].weight)
    again = untrained(model, seed=0)
    assert torch.equal(other.network.first[0].weight, again.network.first[0].weight)


@pytest.fixture(scope="module")
def tried(case, found):
    images, test, _, _ = case
    rows = found.fakes["several"][: SETTINGS.images]
    return trials(
        detector(),
        batch_of(images, rows, CPU),
        [images.packed.ids[row] for row in rows],
        test["person"].astype(str).iloc[rows].tolist(),
        THRESHOLD,
        ["gradcam", "hirescam", "saliency"],
        SETTINGS,
        truth=found.boards["several"].values("rra", "trained", "several"),
        resamples=50,
        seed=0,
    )


def test_faithfulness_prefers_what_the_network_uses_to_a_random_order(tried):
    table = tried.faithfulness.set_index(["method", "layer"])
    assert table.loc[("gradcam", "first"), "deletion"] < table.loc[RANDOM, "deletion"] - 1
    assert table.loc[("gradcam", "first"), "road"] > table.loc[RANDOM, "road"] + 1
    assert (table["n"] == SETTINGS.images).all()


def test_every_trial_has_its_table(tried, found, case):
    assert set(tried.agreement["measure"]) >= {"deletion", "insertion", "road"}
    maps = {("gradcam", "first"), ("gradcam", "second"), ("hirescam", "first"),
            ("hirescam", "second"), ("saliency", "input")}  # fmt: skip
    assert set(map(tuple, tried.stability[["method", "layer"]].to_numpy())) == maps
    last = tried.sanity[tried.sanity["part"] == tried.sanity["part"].iloc[-1]]
    assert len(last) == len(maps)
    seen = surveyed(case, frame="demo")
    facts = {"model": "bright"} | of_survey("bright", seen, 20, 0) | of_planted(found, 20, 0)
    facts |= of_trials(tried)
    text = json.dumps(facts, allow_nan=False)
    said = explain_report({"bright": json.loads(text)})
    assert "gradcam at first" in said
    assert "Kendall's tau" in said
    assert of_trials(None) == {}


def test_layers_on_trial_are_spread_from_first_to_deepest(case):
    images, *_ = case
    assert depths(detector(), batch_of(images, [0], CPU), 5) == ["first", "second"]
    assert depths(detector(), batch_of(images, [0], CPU), 1) == ["first"]
