# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one: the same weights from the same batches."""

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.training import run

from facetell.common.distributed import World, current, launch
from facetell.common.errors import UserError
from facetell.images.packed import Packed
from facetell.training.recipe import Recipe

RECIPE = Recipe(
    image_size=64, epochs=2, batch_size=20, lr=0.01, optimizer="sgd", schedule="plateau",
    precision="float32",
)  # fmt: skip


def fit(home: str, target: str, network: str, recipe: Recipe) -> None:
    """What each process does; it leaves what it has learnt in a file of its own."""
    torch.set_num_threads(1)
    watch = Packed(Path(home) / "test")
    found = run(Path(home), Path(target) / "state", recipe, network, changes={"watch": watch})
    content = {
        "weights": found.detector.state_dict(),
        "log": found.log,
        "threshold": found.threshold,
        "watched": torch.from_numpy(found.watched),
        "processes": found.cost["processes"],
    }
    torch.save(content, Path(target) / f"{os.environ.get('RANK', 'alone')}.pt")


@pytest.mark.parametrize(
    ("network", "change"),
    [
        ("simplenet", {}),
        ("simplenet", {"micro_batch": 3, "augment": "flip"}),
        ("mobilenetv2_100", {}),  # batch norm, synchronised
        ("mobilenetv2_100", {"epochs": 1, "head_epochs": 1, "precision": "bfloat16"}),
    ],
)
def test_two_processes_give_what_one_gives(packed_set, tmp_path, network, change):
    """48 images by 20: batches of 20, 20 and 8. Tolerance 1e-4: sums are rounded differently."""
    recipe = dataclasses.replace(RECIPE, **change)
    fit(str(packed_set), str(tmp_path), network, recipe)
    launch(fit, 2, str(packed_set), str(tmp_path), network, recipe)
    alone, first, second = (torch.load(tmp_path / f"{n}.pt") for n in ("alone", 0, 1))
    assert (alone["processes"], first["processes"]) == (1, 2)
    loose = recipe.precision == "bfloat16"
    for name, value in alone["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        torch.testing.assert_close(
            first["weights"][name], value, atol=1e-2 if loose else 1e-4, rtol=1e-3
        )
    for one, two in zip(alone["log"], first["log"], strict=True):
        assert two == pytest.approx(one, rel=0.05 if loose else 1e-3)
    assert first["watched"].shape == alone["watched"].shape
    np.testing.assert_allclose(
        first["watched"], alone["watched"], atol=0.1 if loose else 1e-3, rtol=1e-2
    )


def fails(where: str) -> None:
    raise UserError(f"rank {os.environ['RANK']} cannot read {where}")


def test_an_error_in_a_process_is_one_line_and_ends_all(capfd):
    with pytest.raises(UserError, match=r"^rank [01] cannot read data/packed/train$"):
        launch(fails, 2, "data/packed/train")
    assert capfd.readouterr().err == ""


def first_fails(where: str) -> None:
    """The other waits for what never comes, and would say so."""
    if current().first:
        fails(where)
    try:
        current().agreed(None)
    finally:
        print("a process is gone", file=sys.stderr)


def test_the_others_end_before_they_notice_an_error(capfd):
    with pytest.raises(UserError, match=r"^rank 0 cannot read x$"):
        launch(first_fails, 2, "x")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("processes", [0, "two", 1.5])
def test_a_wrong_number_of_processes_is_refused(processes):
    with pytest.raises(UserError, match=r"^processes must be a whole number above 0"):
        launch(fails, processes, "")


def test_a_process_alone_is_a_world_of_its_own():
    world = World()
    assert world.first
    assert world.total(1.0, 2.0) == [1.0, 2.0]
    assert world.interleaved([3, 4]) == [3, 4]
    assert world.agreed("x") == "x"
    assert list(world.dealt(len, ["a", "ab"])) == [1, 2]
