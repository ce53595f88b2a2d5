# SPDX-License-Identifier: Apache-2.0
"""Accelerators that are not here: what is chosen for each, and a whole run on a stand-in."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from support import ROOT
from support.training import CPU

from facetell.common import distributed, machine
from facetell.common.errors import UserError
from facetell.training import precision
from facetell.training.cost import machine_name

TYPES = ("cuda", "xpu", "mps")


@pytest.fixture
def there(monkeypatch):
    """Makes torch say that it has an accelerator, and so many of them."""
    monkeypatch.delenv(machine.CHOICE, raising=False)
    machine.say_once.cache_clear()

    def add(kind: str, count: int = 1, float64: bool = True) -> list[int]:
        chosen: list[int] = []
        found = torch.device(kind)
        accelerator = torch.accelerator
        monkeypatch.setattr(accelerator, "current_accelerator", lambda check_available=True: found)
        monkeypatch.setattr(accelerator, "device_count", lambda: count)
        monkeypatch.setattr(accelerator, "set_device_index", chosen.append)
        monkeypatch.setattr(machine, "has_float64", lambda device: float64)
        return chosen

    return add


@pytest.mark.parametrize("kind", TYPES)
def test_an_accelerator_is_used_unless_the_user_wants_otherwise(there, kind, monkeypatch, capsys):
    chosen = there(kind, count=2, float64=kind != "mps")
    monkeypatch.setenv("LOCAL_RANK", "1")
    for _ in range(2):
        assert machine.device() == torch.device(kind, 1)
    assert chosen == [1, 1]
    said = capsys.readouterr().err
    line = "facetell: mps has no 64-bit numbers: what needs them is done on the processor\n"
    assert said == (line if kind == "mps" else "")
    monkeypatch.setenv(machine.CHOICE, "cpu")
    assert machine.device() == CPU
    monkeypatch.setenv(machine.CHOICE, "tpu")
    with pytest.raises(
        UserError, match=f"FACETELL_DEVICE is 'tpu', but torch finds cpu and {kind}"
    ):
        machine.device()


@pytest.mark.parametrize("kind", TYPES)
def test_what_a_device_can_do(kind, monkeypatch):
    device = torch.device(kind, 0)
    assert machine.pins_memory(device) == (kind != "mps")
    assert machine.default_workers(device) >= 1
    channels_last = machine.memory_format(device) == torch.channels_last
    assert channels_last == (kind != "mps")
    assert machine.backend(device) == {"cuda": "nccl", "xpu": "xccl", "mps": "gloo"}[kind]
    # torch on this machine was built without it: what fails is done in another way
    if not getattr(torch, kind).is_available():
        assert not machine.trains_in(torch.float16, device)
        assert not machine.has_float64(device)


def test_a_processor_needs_none_of_it():
    assert not machine.pins_memory(CPU)
    assert machine.default_workers(CPU) == 0
    assert machine.peak_device_memory(CPU) is None
    assert machine.has_float64(CPU)
    assert machine.trains_in(torch.float16, CPU)
    machine.synchronise(CPU)


def test_memory_and_name_are_those_of_the_device(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "max_memory_allocated", lambda device: 3 * 2**20)
    for kind in ("cuda", "xpu"):
        assert machine.peak_device_memory(torch.device(kind, 0)) == 3
        module = SimpleNamespace(get_device_name=lambda device: f"one {device}")
        monkeypatch.setattr(torch, "get_device_module", lambda device, module=module: module)
        assert machine_name(torch.device(kind, 0)) == f"one {kind}:0"
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 5 * 2**20)
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M9", raising=False)
    assert machine.peak_device_memory(torch.device("mps", 0)) == 5
    assert machine_name(torch.device("mps", 0)) == "Apple M9"

    def uncounted(device):
        raise RuntimeError("no such allocator")

    monkeypatch.setattr(torch.accelerator, "max_memory_allocated", uncounted)
    assert machine.peak_device_memory(torch.device("xpu", 0)) is None


@pytest.mark.parametrize("kind", TYPES)
def test_auto_precision(kind, monkeypatch, tmp_path):
    """On CUDA what the hardware has; elsewhere measured, where it works at all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(precision, "accelerator_name", lambda device: "a name")
    recipe = SimpleNamespace(
        precision="auto", width=1, options={}, image_size=64, micro_batch=None, batch_size=8
    )
    device = torch.device(kind, 0)

    def chosen(native: bool, works: bool, gain: float) -> torch.dtype:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
        monkeypatch.setattr(precision, "trains_in", lambda dtype, device: works)
        monkeypatch.setattr(precision, "bfloat16_gain", lambda *_: gain)
        (tmp_path / "facetell/precision.json").unlink(missing_ok=True)
        return precision.autocast_dtype("simplenet", None, recipe, device)

    if kind == "cuda":
        assert chosen(True, True, 0) == torch.bfloat16
        assert chosen(False, True, 0) == torch.float16
        return
    assert chosen(False, True, 2.0) == torch.bfloat16
    noted = json.loads((tmp_path / "facetell/precision.json").read_text())
    assert "a name" in next(iter(noted))
    assert chosen(False, True, 0.9) == torch.float32
    assert chosen(False, False, 2.0) == torch.float32


def test_a_precision_that_a_device_lacks_is_said(monkeypatch, capsys):
    machine.say_once.cache_clear()
    monkeypatch.setattr(precision, "trains_in", lambda dtype, device: False)
    recipe = SimpleNamespace(precision="float16")
    for _ in range(2):
        found = precision.autocast_dtype("simplenet", None, recipe, torch.device("mps"))
        assert found == torch.float32
    said = capsys.readouterr().err
    assert said == "facetell: mps does not train in float16: it does in float32\n"


def nothing() -> None:
    pass


def test_more_processes_than_accelerators_are_refused(there):
    there("xpu", count=1)
    with pytest.raises(UserError, match=r"^processes is 2, but of xpu devices there are 1; "):
        distributed.launch(nothing, 2)


def test_processes_of_a_mac_share_its_processor(there, monkeypatch, capsys):
    """Its accelerator has no way to exchange tensors with others."""
    there("mps", float64=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert machine.device() == CPU
    said = capsys.readouterr().err
    assert said == "facetell: processes cannot work together on mps: they do on the processor\n"


def test_an_operation_without_a_repeatable_form_is_one_error():
    wrong = RuntimeError("scatter does not have a deterministic implementation, but you set\nmore")
    with (
        pytest.raises(UserError, match=r"train.deterministic: mps cannot .*FACETELL_DEVICE=cpu"),
        machine.repeatable(True, torch.device("mps")),
    ):
        raise wrong
    with pytest.raises(RuntimeError), machine.repeatable(False, torch.device("mps")):
        raise wrong


def test_a_whole_run_on_a_stand_in_gives_what_the_processor_gives(packed_set, tmp_path):
    """In a process of its own: torch keeps an accelerator that was registered."""
    paths = [str(ROOT / part) for part in ("src", "tests", "")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "support.standin_run", str(packed_set)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=550,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    for line in (
        "facetell: standin has no 64-bit numbers: what needs them is done on the processor",
        "facetell: standin does not train in bfloat16: it does in float32",
    ):
        assert said.count(line) == 1
