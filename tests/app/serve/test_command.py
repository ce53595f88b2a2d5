# SPDX-License-Identifier: Apache-2.0
"""``facetell serve``: what it says before it serves."""

import dataclasses
import inspect
import socket

import pytest
from support.serving import weights

from facetell.app.command_line import main
from facetell.app.commands.serve import serve
from facetell.app.serve.limits import Limits


def test_every_limit_is_an_option_with_the_same_default():
    options = inspect.signature(serve).parameters
    for limit in dataclasses.fields(Limits):
        assert options[limit.name].default == limit.default, limit.name


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seconds", "nan"], "--seconds must be greater than 0"),
        (["--megapixels", "51"], "--megapixels must be at most 50"),
        (["--memory-mb", "0.5"], "is larger than --memory-mb 0.5"),
        (["--model", "missing.safetensors"], "missing.safetensors is missing"),
        (["--host", "256.0.0.1"], "cannot be taken"),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path, capfd, options, said):
    weights(tmp_path, "first")
    assert main(["serve", "--folder", str(tmp_path), "--port", "0", *options]) == 1
    assert said in capfd.readouterr().err


def test_a_port_that_is_taken_is_said(tmp_path, capfd):
    weights(tmp_path, "first")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["serve", "--folder", str(tmp_path), "--port", port]) == 1
    assert "choose another --port" in capfd.readouterr().err
