# SPDX-License-Identifier: Apache-2.0
"""Low-rank adaptation: adapters and classifier are trained, and the file is an ordinary one."""

import sys
from dataclasses import replace

import pytest
import torch
from support.training import RECIPE, job, run, same

from facetell.common.errors import UserError
from facetell.models import build
from facetell.training.adapters import Adapters, adaptable
from facetell.training.recipe import Lora
from facetell.training.trainer import Trainer, silent, train

SWIN = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 8}


def rank(change: torch.Tensor) -> int:
    return int(torch.linalg.matrix_rank(change.flatten(1).double(), rtol=1e-4))


@pytest.mark.parametrize("network", ["test_vit", "test_resnet"])
def test_trained_weights_differ_by_low_rank_and_have_their_usual_names(
    network, packed_set, tmp_path
):
    recipe = replace(RECIPE, epochs=1, lora=Lora(rank=2), weight_decay=0.1)
    torch.manual_seed(0)
    before = build(network, image_size=64).state_dict()
    after = run(packed_set, tmp_path, recipe, network).detector.network.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    body = {name for name in changed if not name.startswith(("fc.", "head."))}
    assert body
    assert changed - body  # the classifier
    for name in body:
        assert name.endswith(".weight")
        assert 1 <= rank(after[name] - before[name]) <= 2, name
    # of a network with linear layers these alone; of one without, its convolutions
    assert all(before[name].ndim == (2 if network == "test_vit" else 4) for name in body)


def test_layers_can_be_chosen():
    network = build("test_vit", image_size=64)
    found = Adapters(network, Lora(rank=2, layers=("qkv", "blocks.0.mlp.fc1")))
    assert all(name.endswith("qkv") or name == "blocks.0.mlp.fc1" for name in found.layers)
    with pytest.raises(UserError, match=r"no layer named keys that can .*; it has blocks\.0\."):
        adaptable(build("test_vit", image_size=64), ["keys"], 64)


def test_a_layer_whose_weights_are_taken_without_it_is_left_alone():
    """Swin's attention does so; an adapter there would train nothing."""
    network = build("swin", image_size=64, **SWIN)
    found = adaptable(network, None, 64)
    assert not [name for name in found if name.endswith("qkv")]
    made = Adapters(network, Lora(rank=2))
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    idle = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle
    assert not [name for name in made.merged().state_dict() if "lora" in name]


def test_statistics_of_weights_that_stay_stay(packed_set):
    recipe = replace(RECIPE, lora=Lora(rank=2))
    trainer = Trainer(job(packed_set, recipe, "test_resnet"))
    before = {k: v.clone() for k, v in trainer.detector.named_buffers() if "running" in k}
    trainer.one_epoch()
    assert all(
        torch.equal(v, before[k]) for k, v in trainer.detector.named_buffers() if k in before
    )
    frozen = [n for n, p in trainer.detector.network.named_parameters() if not p.requires_grad]
    assert frozen
    assert not [name for name in frozen if "lora" in name or name.startswith("fc.")]


def test_the_classifier_alone_comes_first_if_the_recipe_says_so(packed_set):
    recipe = replace(RECIPE, epochs=2, lora=Lora(rank=2), head_epochs=1)
    trainer = Trainer(job(packed_set, recipe, "test_vit"))
    trained = []
    for _ in range(2):
        trainer.one_epoch()
        trained.append(
            {n for n, p in trainer.detector.network.named_parameters() if p.requires_grad}
        )
    assert all(name.startswith("head.") for name in trained[0])
    assert any("lora" in name for name in trained[1])


def test_a_resumed_training_gives_the_same(packed_set, tmp_path):
    recipe = replace(RECIPE, epochs=2, lora=Lora(rank=2, dropout=0.1))
    straight = run(packed_set, tmp_path / "straight", recipe, "test_vit")

    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if " epoch 2/" in line:
            raise Killed

    with pytest.raises(Killed):
        train(job(packed_set, recipe, "test_vit"), state=tmp_path / "state", say=kill)
    resumed = run(packed_set, tmp_path / "state", recipe, "test_vit", say=silent)
    assert same(straight.detector.network, resumed.detector.network)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'facetell\[lora\]'"):
        Adapters(build("test_vit", image_size=64), Lora())
