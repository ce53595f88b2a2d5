# SPDX-License-Identifier: Apache-2.0
"""Every network of conf/model as ONNX: the same logits, the card in the file; else no file."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from support import ROOT
from torch import nn

import facetell.models.export as exporting
from facetell.app.command_line import main
from facetell.common.errors import UserError
from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.models import build
from facetell.models.detector import Card, Detector, save

NARROW = {"vgg19": {"mlp_ratio": 1 / 64}}  # its 120 million weights of one layer take minutes
DEEPER = ("efficientnet_b1", "efficientnet_b2")  # the layers of efficientnet_b0, more of them


def networks() -> dict[str, dict]:
    """What the quick recipes of conf/model build, by model; a network of several only once."""
    found: dict[str, dict] = {}
    for path in sorted((ROOT / "conf/model").glob("*.yaml")):
        for key, entry in (yaml.safe_load(path.read_text()).get("models") or {}).items():
            quick = entry.get("quick") or {}
            built = {
                "network": entry.get("network", key),
                "width": quick.get("width", 1.0),
                "options": NARROW.get(key) or quick.get("options") or {},
                "image_size": quick.get("image_size", 64),
            }
            if built not in found.values():
                found[key] = built
    return found


NETWORKS = networks()


def images(count: int, size: int) -> torch.Tensor:
    """Drawn faces of differing brightness and colour, always the same."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for row in plan(RenderedSet(seed=1, train=count, valid=0, test=0, singles_per_kind=0)):
        face = torch.from_numpy(render(row, seed=1, size=size).after).permute(2, 0, 1) / 255
        found.append(face * (0.2 + 0.8 * torch.rand(3, 1, 1, generator=generator)))
    return torch.stack(found)


def stirred(detector: Detector, size: int) -> Detector:
    """Random weights that hide no mistake: no branch at rest, logits of mean 0 and sd 0.25."""
    pictures = torch.cat([images(8, size), exporting.probes(size)])
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for parameter in detector.parameters():
            if parameter.ndim <= 1:  # a gain of zero would hide its branch
                parameter.add_(0.2 * torch.randn_like(parameter))
        for norm in norms:
            norm.momentum = None  # statistics of what is seen
        for part in pictures.split(6):
            detector.train()(part)
        for norm in norms:  # wider, lest rounding be amplified: untrained networks are chaotic
            norm.running_var.add_(norm.running_mean**2)
        logits = detector.eval()(pictures)
        weight, bias = [p for p in detector.parameters() if p.shape[:1] == (2,)][-2:]
        bias.sub_(logits.mean(0)).div_(4 * logits.std(0))
        weight.div_(4 * logits.std(0)[:, None])
    return detector


def trained(key: str, path: Path) -> Path:
    """Save a detector with random weights; see ``stirred``."""
    torch.manual_seed(0)
    card = Card(
        **NETWORKS[key],
        mean=(0.5, 0.45, 0.4),
        std=(0.2, 0.25, 0.3),
        threshold=-0.25,
        data="0123abcd",
    )
    network = build(card.network, width=card.width, image_size=card.image_size, **card.options)
    detector = Detector(network, card.mean, card.std)
    save(stirred(detector, card.image_size), card, path)
    return path


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """An empty folder that does not outlive its test: pytest would keep gigabytes of networks."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def weights(folder) -> Path:
    return trained("simplenet", folder / "simplenet.safetensors")


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "key", [pytest.param(key, marks=[pytest.mark.slow] * (key in DEEPER)) for key in NETWORKS]
)
def test_every_network_computes_the_same_as_onnx(key, folder, capfd):
    path = trained(key, folder / "some.safetensors")
    assert main(["export", str(path)]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(f"{folder / 'some.onnx'}: ")
    assert printed.out.count("\n") == 1
    assert sorted(file.name for file in folder.iterdir()) == ["some.onnx", "some.safetensors"]

    detector = Detector.load(path)
    card = detector.card
    run = session(folder / "some.onnx")
    takes, gives = run.get_inputs()[0], run.get_outputs()[0]
    assert (takes.name, takes.type) == ("image", "tensor(float)")
    assert takes.shape == ["batch", 3, card.image_size, card.image_size]
    assert (gives.name, gives.shape) == ("logits", ["batch", 2])
    for batch in images(4, card.image_size).split([1, 3]):
        expected = detector(batch).detach()
        found = torch.from_numpy(run.run(["logits"], {"image": batch.numpy()})[0])
        assert found.shape == (len(batch), 2)
        largest = (found - expected).abs().max().item()
        print(f"{key}: {largest:.1e}, logits {expected.min():.2f} to {expected.max():.2f}")
        assert largest <= 1e-4
    # or the comparison would be blind: the image must matter far more than the tolerance
    assert (expected[0] - expected[1]).abs().max() > 0.01

    metadata = run.get_modelmeta().custom_metadata_map
    assert {name: json.loads(value) for name, value in metadata.items()} == json.loads(
        json.dumps(asdict(card))
    )
    assert str(ROOT).encode() not in (folder / "some.onnx").read_bytes()


def test_large_networks_keep_their_weights_beside_the_graph(weights, folder):
    target = folder / "new" / "folder" / "net.onnx"
    exporting.to_onnx(weights, target, inline=1000)
    assert sorted(file.name for file in target.parent.iterdir()) == ["net.onnx", "net.onnx.data"]
    assert (target.parent / "net.onnx.data").stat().st_size > 1e6
    target.parent.rename(folder / "moved")
    batch = images(2, 64)
    found = session(folder / "moved/net.onnx").run(None, {"image": batch.numpy()})[0]
    assert (torch.from_numpy(found) - Detector.load(weights)(batch)).abs().max() <= 1e-4
    # the data file of an earlier export does not stay behind
    exporting.to_onnx(weights, folder / "moved/net.onnx")
    assert [file.name for file in (folder / "moved").iterdir()] == ["net.onnx"]
    session(folder / "moved/net.onnx")


@pytest.mark.parametrize("inline", [0, 10**9])
def test_another_result_is_refused_and_leaves_nothing_new(weights, folder, monkeypatch, inline):
    write = exporting.write

    def off(detector, *rest):
        detector.mean += 0.05
        write(detector, *rest)

    monkeypatch.setattr(exporting, "write", off)
    target = folder / "net.onnx"
    with pytest.raises(UserError, match="differs from PyTorch by"):
        exporting.to_onnx(weights, target, inline)
    assert [file.name for file in folder.iterdir()] == [weights.name]
    target.write_text("an earlier one")
    with pytest.raises(UserError, match="differs from PyTorch by"):
        exporting.to_onnx(weights, target, inline)
    assert target.read_text() == "an earlier one"


def test_difference_is_absolute_for_small_logits_and_relative_for_large_ones():
    expected = np.array([[0.5, -2000.0]])
    for step, found in ((np.array([0.1, 0.1]), 0.1), (np.array([0, 0.1]), 0.5e-4)):
        assert exporting.difference(expected + step, expected) == pytest.approx(found)
    assert not exporting.difference(expected * float("nan"), expected) <= 1


def refused(capsys, *arguments) -> str:
    assert main(["export", *map(str, arguments)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("facetell: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_errors_are_one_line(weights, folder, capsys, monkeypatch):
    target = folder / "net.onnx"
    cut = folder / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-1000])
    assert "cut off" in refused(capsys, cut, target)
    assert "missing.safetensors" in refused(capsys, folder / "missing.safetensors")
    assert "named *.onnx" in refused(capsys, weights, weights)
    assert "cannot write" in refused(capsys, weights, cut / "net.onnx")

    detector = Detector.load(weights)
    card = detector.card
    detector.network.conv1[0].bias.data.fill_(float("nan"))
    save(detector, card, cut)
    assert "not finite" in refused(capsys, cut, target)

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: exec("raise ValueError('a\\nb')"))
    assert "simplenet cannot be exported (ValueError: a);" in refused(capsys, weights, target)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install onnx onnxruntime onnxscript" in refused(capsys, weights, target)
    assert not target.exists()
