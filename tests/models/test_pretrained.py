# SPDX-License-Identifier: Apache-2.0
"""Weights from files: older names, other class counts and sizes, and what is refused."""

import os
import pickle
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from support import ROOT
from support.zoo import NARROW, PARAMETERS
from torchvision import models

from facetell.common.errors import UserError
from facetell.models import build, head_of
from facetell.models.pretrained import Start, load_weights

_given = os.environ.get("FACETELL_WEIGHTS")  # timm's mobilenetv2_100 for ImageNet, if you have it


def write(path: Path, weights: dict) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in weights.items()}, path)
    else:
        torch.save(weights, path)
    return path


def equal(one: torch.nn.Module, other: torch.nn.Module, but: tuple[str, ...] = ()) -> bool:
    """Whether the weights are the same bits; those that start with ``but`` must differ."""
    mine, theirs = one.state_dict(), other.state_dict()
    heads = tuple(f"{name}." for name in but)
    return mine.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) or (bool(heads) and name.startswith(heads))
        for name, value in mine.items()
    )


@pytest.mark.parametrize("key", sorted(set(PARAMETERS) - {"vgg19"}))
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_the_same_network_is_taken_whole(key, suffix, tmp_path):
    one, other = (build(key, image_size=64, **NARROW.get(key, {})) for _ in range(2))
    assert not equal(one, other)
    assert load_weights(other, write(tmp_path / f"w{suffix}", one.state_dict())) == Start()
    assert equal(one, other)


@pytest.mark.parametrize("key", ["resnet50", "mobilenetv2_100", "densenet121", "swin", "rcnn"])
def test_another_class_count_leaves_only_the_head_random(key, tmp_path):
    narrow = NARROW.get(key, {})
    many = build(key, image_size=64, num_classes=1000, **narrow)
    two = build(key, image_size=64, **narrow)
    fresh = load_weights(two, write(tmp_path / "w.pth", many.state_dict())).fresh
    assert fresh
    assert all(name.startswith(head_of(two)) for name in fresh)
    body = {n: v for n, v in two.state_dict().items() if not n.startswith(head_of(two))}
    assert all(torch.equal(v, many.state_dict()[n]) for n, v in body.items())


def test_stacked_classifiers_take_the_old_one_as_their_first_layer(tmp_path):
    for key, timms in (("vit", "deit_base_patch16_224"), ("xception_based", "legacy_xception")):
        old, new = timm.create_model(timms), build(key)
        fresh = load_weights(new, write(tmp_path / "w.pth", old.state_dict())).fresh
        head = head_of(new)[0]
        assert torch.equal(
            new.get_submodule(head)[0].weight,
            old.get_submodule(old.pretrained_cfg["classifier"]).weight,
        )
        assert sorted(fresh) == sorted(
            f"{head}.{n}" for n in new.get_submodule(head).state_dict() if not n.startswith("0.")
        )


def test_old_names_of_xception(tmp_path):
    """As in Cadene's file: ``last_linear``, 1x1 kernels as matrices, wrapped by DataParallel."""
    new = build("xception_based")
    old = {}
    for name, value in timm.create_model("legacy_xception").state_dict().items():
        flat = value[:, :, 0, 0] if ".pointwise." in name else value
        old[f"module.{name.replace('fc.', 'last_linear.')}"] = flat
    assert any(value.ndim == 2 for name, value in old.items() if ".pointwise." in name)
    fresh = load_weights(new, write(tmp_path / "w.pth", {"state_dict": old})).fresh
    assert all(name.startswith("fc.") and not name.startswith("fc.0.") for name in fresh)
    body = new.block12.rep[1].pointwise.weight
    assert torch.equal(body[:, :, 0, 0], old["module.block12.rep.1.pointwise.weight"])


@pytest.mark.parametrize(
    ("key", "sizes"),
    [("vit", (224, 64)), ("swin", (256, 64)), ("simplenet", (256, 64)), ("resnet50", (224, 96))],
)
def test_another_input_size(key, sizes, tmp_path):
    large, small = (build(key, image_size=size) for size in sizes)
    fresh = load_weights(small, write(tmp_path / "w.pth", large.state_dict())).fresh
    assert all(name.startswith(head_of(small)) for name in fresh)
    assert bool(fresh) == (key == "simplenet")  # its first linear layer follows from the size
    assert small(torch.rand(1, 3, sizes[1], sizes[1])).isfinite().all()
    if key == "vit":  # positions are interpolated, not cut off
        assert small.pos_embed.shape == (1, 17, 768)
        means = [network.pos_embed[:, 1:].mean((0, 1)) for network in (small, large)]
        torch.testing.assert_close(*means, atol=0.05, rtol=0.5)


def trained(seed: int = 0, classes: int = 2) -> dict:
    """Weights of a tiny network, of one seed."""
    torch.manual_seed(seed)
    return timm.create_model("test_resnet", num_classes=classes).state_dict()


def behind(prefix: str, weights: dict) -> dict:
    return {f"{prefix}{name}": value for name, value in weights.items()}


OTHER = trained(1)
LOSS = {"criterion.weight": torch.ones(2), "loss_fn.net.weight": torch.ones(3, 3)}
WRAPPED = {
    "lightning": lambda w: {
        "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2", "callbacks": {},
        "state_dict": behind("model.", w) | LOSS | {"val_acc.total": torch.zeros(4)},
        "hyper_parameters": {"lr": 0.1}, "lr_schedulers": [],
    },
    "nested prefixes": lambda w: {"state_dict": behind("model.backbone.net.", w)},
    "trainer": lambda w: {
        "epoch": 3, "model_state_dict": w, "loss": 0.1,
        "optimizer_state_dict": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
    },
    "loss beside": lambda w: {"model": w, "criterion": LOSS},
    "loss among": lambda w: w | LOSS,
    "net": lambda w: {"net": w, "acc": 91.2},
    "parallel": lambda w: behind("module.", w),
    "compiled": lambda w: behind("module._orig_mod.", w),
    "compiled within": lambda w: {"state_dict": behind("model._orig_mod.", w)},
    "timm's average": lambda w: {"state_dict": OTHER, "state_dict_ema": w, "arch": "test_resnet"},
    "average beside": lambda w: behind("model.", OTHER) | behind("ema_model.module.", w),
    "swa": lambda w: behind("module.", w) | {"n_averaged": torch.tensor(3)},
    "the same twice": lambda w: {"model": w, "state_dict": w},
    "without counts": lambda w: {k: v for k, v in w.items() if "num_batches" not in k},
    "half": lambda w: {k: v.half().float() for k, v in w.items()},
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_weights_are_found_in_what_training_scripts_save(wrapping, tmp_path):
    weights = trained(2)
    network = build("test_resnet")
    start = load_weights(network, write(tmp_path / "w.ckpt", WRAPPED[wrapping](weights)))
    assert start.fresh == start.left_out == []
    assert ("average" in start.in_words()) == ("average" in wrapping)
    for name, value in network.state_dict().items():
        if wrapping == "half":
            torch.testing.assert_close(value, weights[name], atol=1e-3, rtol=1e-3)
        elif wrapping != "without counts" or "num_batches" not in name:
            assert torch.equal(value, weights[name]), name


def test_a_prefix_in_safetensors(tmp_path):
    network = build("test_resnet")
    path = write(tmp_path / "w.safetensors", behind("model.", trained(2)) | LOSS)
    assert load_weights(network, path).in_words() == ""
    assert torch.equal(network.conv1[0].weight, trained(2)["conv1.0.weight"])


@pytest.mark.parametrize("bias", [True, False])
def test_one_logit_becomes_two_whose_margin_it_is(bias, tmp_path):
    weights = trained(2, classes=1)
    weights["fc.bias"].fill_(0.3)
    published = timm.create_model("test_resnet", num_classes=1).eval()
    if not bias:
        weights["fc.bias"].zero_()
    published.load_state_dict(weights)
    kept = {name: value for name, value in weights.items() if bias or name != "fc.bias"}
    network = build("test_resnet").eval()
    start = load_weights(network, write(tmp_path / "w.pth", {"model": behind("module.", kept)}))
    assert start.in_words() == "its one logit, taken for fake, became two"
    images = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        logits, logit = network(images), published(images)[:, 0]
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], logit, atol=1e-5, rtol=0)
    assert float(logit.abs().min()) > 0


def test_one_logit_by_torchvisions_names(tmp_path):
    theirs = models.mobilenet_v2(num_classes=1).state_dict()
    network = build("mobilenetv2_100", image_size=64)
    start = load_weights(network, write(tmp_path / "w.pth", {"state_dict": behind("net.", theirs)}))
    assert (start.fresh, len(start.notes)) == ([], 2)
    weight = network.classifier.weight
    torch.testing.assert_close(weight[1] - weight[0], theirs["classifier.1.weight"][0])


def test_two_classes_stay_in_their_order(tmp_path):
    weights = trained(2)
    network = build("test_resnet")
    load_weights(network, write(tmp_path / "w.pth", weights))
    assert torch.equal(network.fc.weight, weights["fc.weight"])


DEEPER = {f"layer4.7.{name}": torch.ones(3) for name in ("a", "b", "c", "d")}
REFUSED = {
    "a deeper network": (lambda w: w | DEEPER, r"holds 4 tensors more .*layer4\.7\.a.* 1 more"),
    "a branch more": (lambda w: w | {"spectrum.weight": torch.ones(3)}, "1 tensors more"),
    "two networks": (
        lambda w: {"state_dict": behind("student.", w) | behind("teacher.", OTHER)},
        r"more than once \(state_dict, student\.; state_dict, teacher\.\): save the state_dict",
    ),
    "two keys": (lambda w: {"net_a": w, "net_b": OTHER}, r"more than once \(net_a; net_b\)"),
    "a part": (lambda w: {"model": {k: v for k, v in w.items() if "layer3" not in k}},
               r"\d+ of \d+ weights are missing"),
    "an optimiser only": (lambda w: {"optimizer": {"state": w}}, "holds no weights by name"),
    "torchvision's other": (lambda w: models.mobilenet_v2().state_dict(),
                            "torchvision's mobilenet_v2, in timm mobilenetv2_100, and this"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_sure_is_refused_with_the_reason(case, tmp_path):
    contents, reason = REFUSED[case]
    network = build("test_resnet")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match=reason) as caught:
        load_weights(network, write(tmp_path / "w.pth", contents(trained(2))))
    assert "\n" not in str(caught.value)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_classifier_of_another_kind_is_left_out_and_said(tmp_path):
    """It cannot be known what lies between its layers."""
    weights = {name: value for name, value in trained(2).items() if not name.startswith("fc.")}
    for given in (
        behind("net.", weights) | {"head.weight": torch.ones(1, 64), "head.bias": torch.ones(1)},
        weights | {"fc.1.weight": torch.ones(1, 64), "fc.1.bias": torch.ones(1)},
    ):
        start = load_weights(build("test_resnet"), write(tmp_path / "w.pth", given))
        assert start.fresh == ["fc.weight", "fc.bias"]
        assert len(start.left_out) == 2
        assert "left out: " in start.in_words()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_pickled_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, data in (("a.pth", None), ("b.pth", pickle.dumps({"weight": Evil()}))):
        if data is None:
            torch.save({"weight": Evil()}, tmp_path / name)
        else:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=rf"{name} cannot be read as weights"):
            load_weights(build("simplenet"), tmp_path / name)
    assert not (tmp_path / "pwned").exists()


def test_what_does_not_fit_is_refused_and_nothing_is_loaded(tmp_path):
    network = build("resnet50")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    vgg = write(tmp_path / "m.pth", build("mobilenetv2_100").state_dict())
    with pytest.raises(UserError, match=r"m\.pth does not fit this network: \d+ of \d+ weights"):
        load_weights(network, vgg)
    other = write(tmp_path / "w.pth", build("sepnet", width=1 / 8).state_dict())
    with pytest.raises(UserError, match="another shape"):
        load_weights(build("sepnet", width=1 / 16), other)
    cut = tmp_path / "cut.safetensors"
    whole = write(tmp_path / "whole.safetensors", network.state_dict()).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    for path, says in (
        (cut, "cut.safetensors cannot be read"),
        (tmp_path / "none.pth", "there is no file .*none.pth"),
        (write(tmp_path / "empty.pth", {"epoch": 3}), "holds no weights by name"),
    ):
        with pytest.raises(UserError, match=says):
            load_weights(network, path)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


class Hub(BaseHTTPRequestHandler):
    """As much of a model hub as its client asks for: one file of one repository."""

    data = b""

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        if self.answer():
            self.wfile.write(self.data)

    def answer(self) -> bool:
        found = "/timm/mobilenetv2_100.ra_in1k/resolve/" in self.path and self.path.endswith(
            "model.safetensors"
        )
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.data) if found else 0))
        self.send_header("ETag", '"0123456789"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        return found

    def log_message(self, *_):
        pass


BUILD = """
import sys, torch
from facetell.models import build
from facetell.common.errors import UserError
try:
    torch.save(build("mobilenetv2_100", published=True).state_dict(), sys.argv[1])
except UserError as error:
    sys.exit(str(error))
"""


def from_hub(home: Path, **settings: str) -> subprocess.CompletedProcess:
    env = os.environ | {"HF_HOME": str(home / "hub"), "PYTHONPATH": str(ROOT / "src")} | settings
    return subprocess.run(
        [sys.executable, "-c", BUILD, str(home / "got.pth")],
        env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_published_weights_come_from_the_hub(tmp_path):
    published = timm.create_model("mobilenetv2_100")  # 1000 classes
    Hub.data = write(tmp_path / "model.safetensors", published.state_dict()).read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = from_hub(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stderr
    got = torch.load(tmp_path / "got.pth")
    assert torch.equal(got["conv_stem.weight"], published.conv_stem.weight)
    assert got["classifier.weight"].shape[0] == 2


def test_without_a_network_one_error_says_what_to_do(tmp_path):
    # says at once what a lost connection says after the client's retries
    done = from_hub(tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "published weights of mobilenetv2_100 cannot be fetched" in last
    assert "pretrained: PATH" in last


def test_weights_of_a_thousand_classes_leave_the_classifier_new(tmp_path):
    """As those of ImageNet: random here, unless a file of real ones is given."""
    path = (
        Path(_given)
        if _given
        else write(
            tmp_path / "imagenet.pth", build("mobilenetv2_100", num_classes=1000).state_dict()
        )
    )
    network = build("mobilenetv2_100")
    assert sorted(load_weights(network, path).fresh) == ["classifier.bias", "classifier.weight"]
