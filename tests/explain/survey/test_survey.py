# SPDX-License-Identifier: Apache-2.0
"""A whole test set explained: a network that looks at one square, on fakes that carry it."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from support import encoded
from support.squares import PAIRS, SIZE, square_detector, square_images

from facetell.common.errors import UserError
from facetell.explain.layers import spread_layers
from facetell.explain.registry import cost
from facetell.explain.survey.examples import blurred_copies, by_methods
from facetell.explain.survey.records import of_planted, of_survey, of_trials
from facetell.explain.survey.survey import Survey, survey
from facetell.explain.test_set import TestSet
from facetell.explain.trust.planted_benchmark import (
    PlantedBenchmark,
    planted_benchmark,
    planted_cost,
    untrained,
)
from facetell.explain.trust.trials import RANDOM, TrialSettings, trials
from facetell.images.packed import planted_mask
from facetell.models.inference import margins
from facetell.report.explanations import explain_report

METHODS = ("gradcam", "hirescam", "saliency")
SETTINGS = TrialSettings(images=6, depths=2, steps=4, fractions=(0.2, 0.5), draws=2, stops=2)


@pytest.fixture(scope="module")
def tested(tmp_path_factory) -> TestSet:
    """Grey noise, and fakes with a bright square at a place of their own, which decides."""
    detector = square_detector()
    images, manifest = square_images(tmp_path_factory.mktemp("survey"))
    with_ = margins(detector, images, torch.device("cpu"))
    without = np.where(manifest["label"] == 1, -8.0, with_)
    return TestSet(
        detector=detector, images=images, manifest=manifest, threshold=0.0, margins=with_,
        margins_without=without, frame="demo", resamples=50, seed=0,
    )  # fmt: skip


def changed(tested: TestSet, **fields) -> TestSet:
    """The same test set, with other columns of the manifest or other fields."""
    columns = {name: fields.pop(name) for name in ("label", "artefacts", "regions", "mask")
               if name in fields}  # fmt: skip
    manifest = tested.manifest.assign(**columns)
    return dataclasses.replace(tested, manifest=manifest, **fields)


@pytest.fixture(scope="module")
def found(tested) -> PlantedBenchmark:
    return planted_benchmark(tested, tested, methods=METHODS, most=100)


@pytest.fixture(scope="module")
def seen(tested) -> Survey:
    return survey(tested, per_group=3, permutations=99)


def test_a_network_that_looks_at_the_artefact_is_seen_to(found):
    assert found.gate["passed"]
    assert {kind: len(fakes) for kind, fakes in found.passed.items()} == {
        "single": PAIRS // 2, "several": PAIRS // 2}  # fmt: skip
    for kind, board in found.tables().items():
        table = board.set_index(["source", "method", "layer"])
        assert set(board["fakes"]) == {kind}
        assert table.loc[("trained", "gradcam", "first"), "rra"] > 0.9
        area = table.loc[("baseline", "random", "input"), "area"]
        assert area == pytest.approx(64 / SIZE**2)
        assert table.loc[("baseline", "random", "input"), "rra"] == pytest.approx(area, abs=0.06)
        assert set(board["source"]) == {"trained", "untrained", "baseline"}
    facts = of_planted(found)["planted"]
    assert {kind: said["scope"] for kind, said in facts["verdicts"].items()} == {
        "single": "general", "several": "general"}  # fmt: skip


def test_fakes_that_are_not_told_by_the_artefact_are_left_out(tested):
    nothing = planted_benchmark(  # twins look the same to it
        changed(tested, margins_without=tested.margins), methods=("gradcam",), most=9
    )
    assert nothing.passed == {"single": [], "several": []}
    assert nothing.boards == {}
    assert not nothing.gate["passed"]
    facts = of_planted(nothing)["planted"]
    assert facts["leaderboard"] == []
    assert facts["fakes_told"] == {"single": 0, "several": 0}
    assert {said["scope"] for said in facts["verdicts"].values()} == {"none"}


def test_belief_is_restricted_by_the_gate_of_its_own_kind(tested):
    """A model that misses half of the fakes with a single artefact, and none with several."""
    single = ~tested.manifest["artefacts"].str.contains("+", regex=False).to_numpy()
    missed = np.flatnonzero(single & (tested.labels == 1))[::4]
    margins = tested.margins.copy()
    margins[missed] = -1.0
    half = changed(tested, margins=margins)
    found = planted_benchmark(half, methods=("gradcam",), most=9)
    assert not set(found.passed["single"]) & set(missed.tolist())
    assert found.gate["passed"]  # that of several
    verdicts = of_planted(found)["planted"]["verdicts"]
    assert {kind: said["scope"] for kind, said in verdicts.items()} == {
        "single": "restricted", "several": "general"}  # fmt: skip
    assert verdicts["single"]["passed"] == PAIRS // 2 - len(missed)
    assert verdicts["single"]["fakes"] == PAIRS // 2
    assert verdicts["single"]["scored"] == 9  # those are as many as were asked for
    assert verdicts["single"]["gate"]["accuracy_with"] == pytest.approx(
        1 - len(missed) / (PAIRS // 2) / 2
    )


def test_a_set_of_single_artefacts_alone_is_gated_by_those(tested):
    artefacts = tested.manifest["artefacts"].str.replace("+seam", "", regex=False)
    found = planted_benchmark(changed(tested, artefacts=artefacts), methods=("gradcam",), most=9)
    assert found.gate["passed"]
    assert set(found.boards) == set(found.gates) == {"single"}


def test_validation_fakes_choose_the_map_and_test_fakes_only_rate_it(tested):
    """Validation fakes of the opposite of what test fakes would choose: the choice stands."""
    low = square_detector()
    low.network.first[0].weight.data.neg_()  # its maps of the first layer point away
    some = changed(tested, artefacts="wave+seam", detector=low)
    chosen = planted_benchmark(tested, some, methods=("gradcam", "saliency"), most=9).choices
    assert chosen["single"] == chosen["several"]  # validation has no fakes with a single artefact
    assert chosen["single"].kind == "several"
    assert (chosen["single"].fakes, chosen["single"].passed) == (PAIRS, PAIRS)
    assert chosen["single"].scored == 9
    own = planted_benchmark(tested, tested, methods=("gradcam", "saliency"), most=9).choices
    assert (own["single"].method, own["single"].layer) != (
        chosen["single"].method, chosen["single"].layer
    )  # fmt: skip
    assert own["single"].kind == "single"


def test_too_few_validation_fakes_choose_nothing(tested):
    low = tested.margins.copy()
    low[np.flatnonzero(tested.labels == 1)[7:]] = -1
    few = changed(tested, margins=low)
    found = planted_benchmark(tested, few, methods=("gradcam",), most=9)
    said = of_planted(found)["planted"]["verdicts"]["single"]
    assert not found.choices["single"].made
    assert said["chosen"] is None
    assert said["claim"].startswith("No map was chosen: ")
    assert "of 12 validation fakes pass the gate" in said["claim"]
    assert said["believed"] > 0


def test_masks_without_twins_are_gated_by_the_verdict_alone(tested):
    """A user's own masks: what is believed never reaches beyond the fakes that are scored."""
    own = changed(tested, artefacts="", margins_without=None)
    found = planted_benchmark(own, own, methods=("gradcam", "saliency"), most=100)
    assert set(found.boards) == {"altered"}
    assert len(found.passed["altered"]) == PAIRS
    said = of_planted(found)["planted"]["verdicts"]["altered"]
    assert "accuracy_without" not in said["gate"]
    assert said["gate"]["accuracy_with"] == 1
    assert (said["scope"], said["chosen"]["belief"]) == ("restricted", "restricted")
    assert said["chosen"]["score"] > 0.9
    assert planted_cost(own, own, methods=("gradcam",), most=9) == 27 * cost(("gradcam",))
    unsure = changed(own, margins=np.minimum(own.margins, 2.0))
    silent = planted_benchmark(unsure, methods=("gradcam",), most=100)
    assert silent.boards == {}
    assert (
        "0 of 24 fakes that are called fake for sure"
        in (of_planted(silent)["planted"]["verdicts"]["altered"]["claim"])
    )


def test_images_without_masks_or_real_ones_have_no_benchmark(tested):
    for lacking in ({"label": 0}, {"label": 1}, {"mask": ""}):
        empty = planted_benchmark(changed(tested, **lacking), methods=("gradcam",), most=9)
        assert empty == PlantedBenchmark()
        assert of_planted(empty) == {}
    assert planted_mask(None, SIZE) is None
    assert planted_mask(encoded(Image.new("L", (4, 4))), SIZE) is None


def test_maps_that_their_status_warns_of_find_nothing(tested, monkeypatch):
    """The status of a map reaches its score: it is not believed for values that mean nothing."""
    from facetell.explain.trust import planted_benchmark as module

    def warned(*args, **options):
        explanation = explain_all(*args, **options)
        for said in explanation.status["gradcam"].values():
            said[:] = "incomplete"
        return explanation

    explain_all = module.explain
    monkeypatch.setattr(module, "explain", warned)
    found = planted_benchmark(tested, methods=("gradcam", "hirescam"), most=9)
    table = found.tables()["single"].set_index(["source", "method", "layer"])
    assert table.loc[("trained", "gradcam", "first"), "rra"] == 0
    assert table.loc[("trained", "hirescam", "first"), "rra"] > 0.9


def test_a_method_keeps_the_name_that_it_has_on_the_detector(tested):
    """Guided backpropagation has another rule without ReLUs, and its scores say so."""
    other = square_detector()
    other.network.first[1] = other.network.second[1] = torch.nn.GELU()
    found = planted_benchmark(
        changed(tested, detector=other), methods=("gradcam", "guided_backprop"), most=9
    )
    title = "guided backpropagation (GELU rule)"
    assert found.titles == {"guided_backprop": title}
    said = of_planted(found)["planted"]["verdicts"]["single"]
    assert said["titles"] == {"guided_backprop": title}
    with_relu = planted_benchmark(tested, methods=("guided_backprop",), most=9)
    assert with_relu.titles == {}


def test_rows_images_and_margins_are_of_the_same_images(tested):
    with pytest.raises(UserError, match="same images in the same order"):
        changed(tested, margins=tested.margins[1:])
    with pytest.raises(UserError, match="run the pack and predict stages again"):
        dataclasses.replace(tested, manifest=tested.manifest.iloc[::-1])


def test_every_image_is_explained_once_and_groups_are_filled(seen):
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
    first = seen.first_of_each_class()
    assert {name: one.label for name, one in first.items()} == {"fake": 1, "real": 0}
    assert first["fake"] is example


def test_an_example_blurred_and_by_every_method(tested, seen):
    example = seen.examples[0]
    rows = blurred_copies(tested, example)
    assert [row.name for row in rows] == ["clean", "blur 1 px", "blur 2 px"]
    assert list(rows[0].maps["gradcam"]) == ["first", "second"]
    np.testing.assert_array_equal(rows[0].image, example.image)
    assert rows[2].image.std() < rows[0].image.std()
    assert rows[0].margin == pytest.approx(example.margin, rel=1e-5)
    one = by_methods(tested, example, ["gradcam", "saliency", "attention_rollout"], "first")
    assert {name: list(maps) for name, maps in one.maps.items()} == {
        "gradcam": ["first"], "saliency": ["input"]}  # fmt: skip


def test_relevance_by_region_is_for_an_images_own_class(seen):
    table = seen.regions.table()
    assert set(table["class"]) == {"real", "fake"}
    assert table.groupby(["method", "class"])["area"].sum().to_numpy() == pytest.approx(1)
    facts = of_survey("squares", seen)
    assert len(facts["what_to_look_for"]) == 4  # two maps, two classes
    assert [said["sentence"] for said in facts["looks_at"]] == facts["what_to_look_for"]
    assert [said["class"] for said in facts["looks_at"]].count("fake") == 2
    json.dumps(facts, allow_nan=False)


def test_one_class_has_no_difference(tested):
    seen = survey(changed(tested, label=1), per_group=3, permutations=9)
    assert seen.means == {}
    assert of_survey("squares", seen)["class_means"] == {}


def test_the_untrained_network_is_another_one_and_the_trained_is_left_alone():
    model = square_detector()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = untrained(model, seed=0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not torch.equal(other.network.first[0].weight, model.network.first[0].weight)
    again = untrained(model, seed=0)
    assert torch.equal(other.network.first[0].weight, again.network.first[0].weight)


@pytest.fixture(scope="module")
def tried(tested, found):
    return trials(tested, found, METHODS, SETTINGS)


def test_faithfulness_prefers_what_the_network_uses_to_a_random_order(tried):
    table = tried.faithfulness.set_index(["method", "layer"])
    assert table.loc[("gradcam", "first"), "deletion"] < table.loc[RANDOM, "deletion"] - 1
    assert table.loc[("gradcam", "first"), "road"] > table.loc[RANDOM, "road"] + 1
    assert (table["n"] == SETTINGS.images).all()


def test_trials_without_planted_truth_take_fakes_that_are_found(tested):
    tried = trials(tested, PlantedBenchmark(), ["saliency"], SETTINGS)
    assert tried.n == SETTINGS.images
    assert tried.agreement.empty
    none = changed(tested, threshold=1e9)
    assert trials(none, PlantedBenchmark(), ["saliency"], SETTINGS) is None
    assert of_trials(None) == {}


def test_every_trial_has_its_table(tried, found, seen):
    assert set(tried.agreement["measure"]) >= {"deletion", "insertion", "road"}
    maps = {("gradcam", "first"), ("gradcam", "second"), ("hirescam", "first"),
            ("hirescam", "second"), ("saliency", "input")}  # fmt: skip
    assert set(map(tuple, tried.stability[["method", "layer"]].to_numpy())) == maps
    last = tried.sanity[tried.sanity["part"] == tried.sanity["part"].iloc[-1]]
    assert len(last) == len(maps)
    facts = {"model": "squares"} | of_survey("squares", seen) | of_planted(found)
    facts |= of_trials(tried)
    text = json.dumps(facts, allow_nan=False)
    said = explain_report({"squares": json.loads(text)})
    chosen = found.choices["single"]
    assert f"| {chosen.method} at {chosen.layer} |" in said
    assert "Kendall's tau" in said


def test_layers_on_trial_are_spread_from_first_to_deepest(tested):
    detector, image = tested.detector, tested.batch([0])
    assert spread_layers(detector, image, 5) == ["first", "second"]
    assert spread_layers(detector, image, 1) == ["first"]
    assert spread_layers(detector, image, 5, least=SIZE + 1) == []
