# SPDX-License-Identifier: Apache-2.0
"""Files are read without running what they hold."""

import argparse

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from facetell.common.errors import UserError
from facetell.models.checkpoints.reading import META, contents_of

WEIGHTS = {"b": torch.ones(3, 2), "a": torch.zeros(2)}


@pytest.mark.parametrize("device", ["cpu", META])
def test_both_formats_are_read(device, tmp_path):
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    torch.save(WEIGHTS, tmp_path / "w.ckpt")
    for name in ("w.safetensors", "w.ckpt"):
        found = contents_of(tmp_path / name, device)
        assert {name: value.shape for name, value in found.items()} == {"b": (3, 2), "a": (2,)}
        assert {value.device.type for value in found.values()} == {device}


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        ({"state_dict": WEIGHTS, "hyper_parameters": argparse.Namespace(lr=1)}, "Namespace"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    ],
)
def test_python_objects_are_named_in_one_line_that_says_what_to_do(contents, named, tmp_path):
    torch.save(contents, tmp_path / "w.ckpt")
    with pytest.raises(UserError) as caught:
        contents_of(tmp_path / "w.ckpt")
    line = str(caught.value)
    assert "w.ckpt cannot be read as weights: besides weights it holds Python objects" in line
    assert named in line
    assert "save only the state_dict" in line
    assert "\n" not in line


def test_other_files_are_refused(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "scripted.pth")
    (tmp_path / "text.pth").write_text("version https://git-lfs", encoding="utf-8")
    for name, says in (
        ("list.pth", "holds no weights by name"),
        ("scripted.pth", "cannot be read as weights"),
        ("text.pth", "cannot be read as weights"),
        ("none.pth", "there is no file"),
    ):
        with pytest.raises(UserError, match=says):
            contents_of(tmp_path / name)
