# SPDX-License-Identifier: Apache-2.0
"""facetell explain: one's own photo as in the evaluation, and one clear error for bad input."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit
from skimage import data
from support.detectors import saved

import facetell.app.photo as photo
from facetell.app.command_line import main
from facetell.common.errors import printable
from facetell.dataset.rendered import RenderedSet, plan, render
from facetell.evaluation.perturbations.degradation import blur
from facetell.explain import explain
from facetell.images.decoding import decode
from facetell.images.loading import fit
from facetell.models.detector import Detector

SIZE = 50


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "small.safetensors", SIZE)


@pytest.fixture
def face(tmp_path) -> Path:
    row = plan(RenderedSet(seed=0, train=4, valid=0, test=0, singles_per_kind=0))[0]
    path = tmp_path / "face.jpg"
    Image.fromarray(render(row, seed=0, size=80).after).save(path, exif=_turned())
    return path


def _turned() -> bytes:
    """A camera that was held on its side."""
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags.tobytes()


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_photo_gets_the_verdict_of_the_evaluation(weights, face, capsys):
    assert main(["explain", str(weights), str(face), "--blur"]) == 0
    detector = Detector.load(weights)
    card = detector.card
    clean = fit(decode(face.read_bytes()), SIZE)[None].float() / 255
    lines = capsys.readouterr().out.splitlines()
    rows = [clean, blur(clean, [0], sigma=1.0), blur(clean, [0], sigma=2.0)]
    with torch.no_grad():
        margins = [float(detector.margin(row)) for row in rows]
    for line, margin in zip(lines, margins, strict=False):
        verdict = "fake" if margin >= card.threshold else "real"
        assert f": {verdict}, P(fake) {expit(margin):.3f}" in line
    assert f"fake from {expit(card.threshold):.3f} on" in lines[0]
    assert lines[0].startswith(str(face))
    assert [line.split(":")[0] for line in lines[1:]] == ["  blur 1 px", "  blur 2 px", "  figure"]
    assert Image.open("face_explained.png").size[0] > 600


def test_every_layer_or_methods_side_by_side(weights, face, monkeypatch):
    drawn = {}
    for name in ("every_layer", "methods_side_by_side"):
        monkeypatch.setattr(photo, name, _spy(drawn, name, getattr(photo, name)))
    assert main(["explain", str(weights), str(face), "--out", "deep/a.pdf"]) == 0
    (rows, method, title), _ = drawn.pop("every_layer")
    assert (method, list(rows[0].maps["gradcam"])) == ("gradcam", ["conv1", "conv2", "conv3"])
    assert title.startswith("face.jpg: ")
    assert Path("deep/a.pdf").read_bytes().startswith(b"%PDF")
    found = explain(
        Detector.load(weights), fit(decode(face.read_bytes()), SIZE)[None].float() / 255
    )
    np.testing.assert_allclose(
        rows[0].maps["gradcam"]["conv2"], found.maps["gradcam"]["conv2"][0], atol=1e-7
    )
    arguments = ["--methods", "gradcam,occlusion", "--layers", "conv2", "--blur"]
    assert main(["explain", str(weights), str(face), *arguments]) == 0
    (rows, layer, _), _ = drawn.pop("methods_side_by_side")
    assert ([row.name for row in rows], layer) == (["clean", "blur 2 px"], "conv2")
    assert set(rows[0].maps) == {"gradcam", "occlusion"}
    assert main(["explain", str(weights), str(face), "--methods", "all"]) == 0
    (rows, layer, _), _ = drawn.pop("methods_side_by_side")
    assert layer == "conv3"
    assert "guided_gradcam" in rows[0].maps
    assert "scorecam" not in rows[0].maps  # costly
    assert "attention_rollout" not in rows[0].maps  # not defined
    assert not drawn


def _spy(drawn, name, function):
    def called(*args, **kwargs):
        drawn[name] = args, kwargs
        return function(*args, **kwargs)

    return called


def test_several_photos_are_several_figures(weights, face, tmp_path, capsys):
    Image.open(face).resize((20, 60)).save("small.png")
    command = ["explain", str(weights), str(face), "small.png", "--out", "x.png"]
    assert main(command) == 0
    assert Path("x_face.png").exists()
    assert Path("x_small.png").exists()
    warnings = capsys.readouterr().err
    assert "small.png: 20x60 px is smaller than the network's input" in warnings
    assert "33% of the photo" in warnings
    assert "face.jpg" not in warnings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.jpg"], "cannot read absent.jpg"),
        (["."], "cannot read ."),
        (["broken.jpg"], "broken.jpg cannot be used: broken"),
        (["zeroed.jpg"], "zeroed.jpg cannot be used: broken: "),
        (["closed.jpg"], "closed.jpg cannot be used: broken: Corrupt JPEG data: premature end"),
        (["text.jpg"], "text.jpg cannot be used: not an image"),
        (["face.jpg", "--layers", "conv9"], "no layer 'conv9'"),
        (["face.jpg", "--methods", "gradcamera"], "there is no method 'gradcamera'; there are"),
        (["face.jpg", "--methods", "attention_rollout"], "not defined"),
        (["face.jpg", "--methods", "gradcam,hirescam", "--layers", "all"], "at one layer"),
        (["face.jpg", "--out", "x.txt"], "*.png"),
        (["face.jpg", "face.jpg"], "two photos are named face"),
        (["face.jpg", "broken.jpg"], "broken.jpg cannot be used"),
    ],
)
def test_bad_input_is_one_line_and_no_figure(arguments, message, weights, face, tmp_path, capsys):
    whole = face.read_bytes()
    middle = len(whole) * 3 // 4
    Path("broken.jpg").write_bytes(whole[: len(whole) // 2])
    Path("zeroed.jpg").write_bytes(whole[:middle] + bytes(90) + whole[middle + 90 :])
    Path("closed.jpg").write_bytes(whole[:middle] + b"\xff\xd9")
    Path("text.jpg").write_text("no image")
    assert main(["explain", str(weights), *arguments]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out
    assert not [path for path in tmp_path.rglob("*") if path.suffix in photo.FIGURES]


def test_weights_that_are_none(face, capsys):
    Path("w.safetensors").write_bytes(io.BytesIO(b"none").getvalue())
    assert main(["explain", "w.safetensors", str(face)]) == 1
    assert "not a facetell weights file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["pay$$day.jpg", "x" * 236 + ".jpg", "日本語.jpg", "gr\udcfc\udcdf.jpg", "a b\x1b[31m.jpg"],
)
def test_a_photo_may_have_any_name(name, weights, face, capsys):
    path = Path(name)
    try:
        path.write_bytes(face.read_bytes())
    except (OSError, UnicodeError):  # this system does not take the name
        return
    assert main(["explain", str(weights), name]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{printable(name)}: ")
    assert len(said.out.splitlines()) == 2
    assert "Glyph" not in said.err
    (figure,) = Path.cwd().glob("*_explained.png")
    assert figure.name.startswith(path.stem[:50])
    assert main(["explain", str(weights), name, "--out", "out.pdf", "--blur"]) == 0
    assert main(["explain", str(weights), name, "face.jpg", "--out", "out.svg"]) == 0
    assert len(list(Path.cwd().glob("out_*.svg"))) == 2


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("face.jpg/x.png", "cannot write face.jpg/x.png: "),
        ("folder.png", "cannot write folder.png: "),
        ("y" * 260 + ".png", "give it a shorter name"),
    ],
)
def test_a_figure_that_cannot_be_written_is_one_line(out, says, weights, face, capsys):
    Path("folder.png").mkdir()
    assert main(["explain", str(weights), str(face), "--out", out]) == 1
    said = capsys.readouterr().err
    assert says.replace("/", os.sep) in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("what", ["export", "explain"])
def test_a_read_only_folder_is_one_line(what, weights, face, capsys, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    more = [str(face)] if what == "explain" else ["out/x.onnx"]
    assert main([what, str(weights), *more]) == 1
    said = capsys.readouterr().err
    assert "Read-only file system; it cannot be written there: name another place" in said
    assert len(said.splitlines()) == 1


def test_a_photo_that_may_not_be_read_is_one_line(weights, face, capsys, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["explain", str(weights), str(face)]) == 1
    assert f"cannot read {face}: Permission denied; get the right to it" in capsys.readouterr().err


def test_each_face_of_a_photo_is_explained(weights, capsys):
    """A portrait in the public domain."""
    Image.fromarray(data.astronaut()).save("portrait.png")
    assert main(["explain", str(weights), "portrait.png", "--crop"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("portrait.png, face 1: ")
    assert "how faces lie in the training images is not known" in said.err
    assert Image.open("portrait_face1_explained.png").size[0] > 600
    Image.fromarray(data.coffee()).save("coffee.png")
    assert main(["explain", str(weights), "coffee.png", "--crop"]) == 1
    assert "coffee.png: no face is found" in capsys.readouterr().err
