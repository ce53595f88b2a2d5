# SPDX-License-Identifier: Apache-2.0
"""Where weights lie in a checkpoint."""

import torch

from facetell.models.checkpoints.candidates import candidates, for_training_only

VALUE = torch.zeros(2)


def places(contents: dict, least: int = 2) -> dict[str, list[str]]:
    return {one.where: sorted(one.weights) for one in candidates(contents, least)}


def test_prefixes_are_found_at_any_depth():
    names = [f"net.backbone.{name}" for name in ("a.weight", "b.weight", "c.weight")]
    found = places({"state": {"model": dict.fromkeys(names, VALUE)}}, least=3)
    assert found["state, model, net.backbone."] == ["a.weight", "b.weight", "c.weight"]
    assert list(found) == ["state, model", "state, model, net.", "state, model, net.backbone."]


def test_what_torch_wraps_modules_in_is_taken_out():
    names = ["module.a._orig_mod.weight", "module.b.weight"]
    assert places(dict.fromkeys(names, VALUE)) == {
        "": ["a.weight", "b.weight"],
        "module.": ["a.weight", "b.weight"],
    }
    both = dict.fromkeys(["a.module.weight", "a.weight"], VALUE)  # not a wrapper then
    assert places(both)[""] == ["a.module.weight", "a.weight"]


def test_losses_and_optimisers_are_left_out():
    weights = dict.fromkeys(["model.a", "model.b", "loss_fn.net.a", "loss_fn.net.b"], VALUE)
    state = {0: {"exp_avg": VALUE, "exp_avg_sq": VALUE}}
    found = candidates({"state_dict": weights, "optimizer": {"state": state, "a": VALUE}}, 2)
    assert [one.where for one in found] == ["state_dict", "state_dict, model."]
    assert found[1].beside == ()
    assert candidates({"m.a": VALUE, "m.b": VALUE, "fc.weight": VALUE}, 2)[1].beside == (
        "fc.weight",
    )


def test_the_largest_is_there_even_if_it_is_small():
    assert places({"x": {"a": VALUE}, "y": {"a": VALUE, "b": VALUE}}, least=9) == {"y": ["a", "b"]}
    assert places({"epoch": 3}) == {}


def test_names_of_networks_are_not_taken_for_those_of_training():
    for name in ("discriminator.weight", "stages.0.weight", "mapping.fc", "features.norm.bias"):
        assert not for_training_only(name)
    for name in ("criterion.weight", "val_acc.total", "bn1.num_batches_tracked", "train_f1.tp"):
        assert for_training_only(name)
