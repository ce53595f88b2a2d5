# SPDX-License-Identifier: Apache-2.0
"""facetell predict and models: verdicts of the evaluation in every form, and none that is lost."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit
from skimage import data
from support.detectors import saved
from support.faces import faces

import facetell
from facetell.app.command_line import main
from facetell.common.errors import UserError
from facetell.common.files import write_json
from facetell.images.decoding import decode
from facetell.images.familiarity import Familiarity
from facetell.images.loading import fit, to_unit

SIZE, SIDE = 56, 80


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Two detectors, one of which knows what its validation images look like, and photos."""
    home = tmp_path_factory.mktemp("checkout")
    known = faces(60, SIDE)
    seen = [fit(np.array(one), SIZE).numpy() for one in known]
    familiar = Familiarity.fit([one.size for one in known], seen).stored()
    first = home / "models/one.safetensors"
    saved(first, SIZE)
    margins = [found.margin for found in facetell.Detector.load(first).predict(known[:5])]
    facts = {"temperature": 2.0, "familiar": familiar, "threshold": float(np.median(margins))}
    saved(first, SIZE, **facts)
    saved(home / "models/two.safetensors", SIZE, seed=1)
    for name, auc in (("one", 0.9), ("two", 0.8)):
        cost = {"parameters": 400_000}
        facts = {"recipe": {}, "cost": cost, "validation": {"auc": auc}}
        write_json(home / f"models/{name}.json", facts)
    (home / "photos").mkdir()
    for number, one in enumerate(known[:5]):
        one.save(home / f"photos/{number}.jpg", quality=95)
    (home / "photos/notes.txt").write_text("no photo")
    (home / "broken.jpg").write_bytes((home / "photos/0.jpg").read_bytes()[:900])
    return home


@pytest.fixture(autouse=True)
def _there(checkout, monkeypatch):
    monkeypatch.chdir(checkout)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_verdicts_are_those_of_the_evaluation(capsys):
    assert main(["predict", "photos", "--all", "--format", "jsonl"]) == 0
    found = lines(capsys)
    assert [row["photo"] for row in found[::2]] == [
        str(Path("photos", f"{n}.jpg")) for n in "01234"
    ]
    for row in found:
        detector = facetell.Detector.load(f"models/{row['model']}.safetensors")
        pixels = fit(decode(Path(row["photo"]).read_bytes()), SIZE)
        margin = float(detector.margin(to_unit(pixels[None], detector.mean.device)))
        card = detector.card
        assert row["margin"] == pytest.approx(margin, abs=1e-5)
        assert row["score"] == pytest.approx(expit(margin), abs=1e-6)
        assert row["probability"] == pytest.approx(expit(margin / card.temperature), abs=1e-6)
        assert row["threshold"] == pytest.approx(expit(card.threshold))
        assert row["verdict"] == ("fake" if margin >= card.threshold else "real")
        assert row["error"] is None
        assert (row["novelty"] is None) == (row["model"] == "two")
    assert {row["model"] for row in found} == {"one", "two"}
    assert len({row["verdict"] for row in found}) == 2, "the test cannot tell verdicts apart"


def test_in_python_as_on_the_command_line(checkout, capsys):
    main(["predict", "photos", "--model", "one", "--format", "jsonl"])
    expected = lines(capsys)
    detector = facetell.Detector.load("models/one.safetensors")
    paths = sorted(Path("photos").glob("*.jpg"))
    batch = np.stack([decode(path.read_bytes()) for path in paths])
    for given in (paths, batch, [Image.open(path) for path in paths]):
        found = detector.predict(given, batch_size=2)
        assert [one.verdict for one in found] == [row["verdict"] for row in expected]
        np.testing.assert_allclose(
            [one.margin for one in found], [row["margin"] for row in expected], atol=1e-5
        )
    assert found[0].fake == (found[0].verdict == "fake")
    with pytest.raises(UserError, match="has no card"):
        facetell.Detector(detector.network, (0.5,) * 3, (0.5,) * 3).predict(batch)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (["photos/*.jpg"], 5),
        (["photos/[01].jpg", "photos/4.jpg"], 3),
        (["models/two.safetensors", "photos/1.jpg"], 1),
        (["photos/1.jpg", "--model", "two", "--model", "one"], 2),
        (["photos/1.jpg", "-m", "models/two.safetensors", "-m", "two"], 1),
    ],
)
def test_photos_and_detectors_can_be_named_in_many_ways(given, number, capsys):
    assert main(["predict", *given, "--format", "jsonl"]) == 0
    assert len(lines(capsys)) == number


def test_the_best_on_validation_images_is_asked_if_none_is_named(capsys):
    assert main(["predict", "photos/0.jpg", "--format", "jsonl"]) == 0
    assert [row["model"] for row in lines(capsys)] == ["one"]


@pytest.mark.parametrize("content", ["photos/0.jpg", b"photos/0.jpg\nphotos/3.jpg\n"])
def test_standard_input_is_a_photo_or_names_of_photos(content, monkeypatch, capsys):
    data = content if isinstance(content, bytes) else Path(content).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["predict", "-", "--format", "jsonl"]) == 0
    names = [row["photo"] for row in lines(capsys)]
    assert names == (["standard input"] if content != data else ["photos/0.jpg", "photos/3.jpg"])


def test_a_bad_photo_does_not_stop_the_others(capsys):
    given = ["photos/0.jpg", "broken.jpg", "absent.jpg", "photos/1.jpg"]
    assert main(["predict", *given, "--format", "csv"]) == 1
    said = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["photo"] for row in rows] == given
    assert [bool(row["verdict"]) for row in rows] == [True, False, False, True]
    assert rows[1]["error"].startswith("broken.jpg cannot be used: broken")
    assert rows[2]["error"].startswith("cannot read absent.jpg")
    assert said.err.splitlines() == ["facetell: 2 of 4 photos could not be judged"]
    assert main(["predict", *given]) == 1
    said = capsys.readouterr()
    assert len([line for line in said.out.splitlines() if "photos/" in line.split(":")[0]]) == 2
    assert len(said.err.splitlines()) == 3


def test_the_table_says_what_the_numbers_mean_and_what_is_unlike(tmp_path, capsys):
    Image.open("photos/0.jpg").resize((30, 90)).save(tmp_path / "tall.png")
    assert main(["predict", "photos/0.jpg", str(tmp_path / "tall.png")]) == 0
    out = capsys.readouterr().out
    for words in ("verdict", "threshold", "calibrated", "Neither is a proof", "3.0 times as long"):
        assert words in out
    assert "unlike the training data" in out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["nothing*.jpg"], "nothing fits the pattern nothing*.jpg"),
        (["models"], "there is no image in the folder models"),
        (["photos/0.jpg", "--model", "three"], "no detector 'three' in models; there are one, two"),
        (["photos/0.jpg", "--folder", "photos"], "no detector in photos: run dvc repro"),
        (["models/one.safetensors"], "no photo is named"),
        (["photos/0.jpg", "--model", "absent.safetensors"], "absent.safetensors is not a facetell"),
    ],
)
def test_wrong_arguments_are_one_line(given, words, capsys):
    assert main(["predict", *given]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert not said.out


def test_options_that_do_not_exist_are_a_usage_error(capsys):
    assert main(["predict", "photos/0.jpg", "--formt", "csv"]) == 2
    assert main(["predikt"]) == 2


def test_models_are_listed_with_how_well_they_do(checkout, capsys):
    clean = {"auc": 0.75, "accuracy": 0.7, "interval": {"auc": [0.7, 0.8], "accuracy": [0.6, 0.8]}}
    scores = {"training": json.loads(Path("models/two.json").read_text()), "clean": clean}
    write_json("metrics/models/two.json", scores)
    counts = {"train": {"real": 10, "fake": 20}}
    write_json("metrics/data.json", {"counts": counts, "sets": {"demo": 40}})
    assert main(["models", "--format", "jsonl"]) == 0
    one, two = lines(capsys)
    assert (one["model"], one["auc"], one["trained_on"]) == ("one", None, None)
    assert (two["auc"], two["auc_interval"], two["training_images"]) == (0.75, [0.7, 0.8], 30)
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "0.750 [0.700, 0.800]" in out
    assert "not measured on these weights" in out
    write_json("models/two.json", {"recipe": {}, "cost": {"parameters": 1}, "validation": {}})
    main(["models", "--format", "jsonl"])
    assert all(row["auc"] is None for row in lines(capsys)), "scores of other weights"
    Path("metrics/models/two.json").unlink()
    write_json("models/two.json", scores["training"])


def test_the_report_is_named_or_missed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 1
    assert "run dvc repro" in capsys.readouterr().err
    Path("plots/report").mkdir(parents=True)
    Path("plots/report/index.html").write_text("<html>")
    assert main(["report"]) == 0
    assert capsys.readouterr().out.strip() == Path("plots/report/index.html").resolve().as_uri()


HEAVY = ("torch", "numpy", "pandas", "timm", "matplotlib", "scipy")


@pytest.mark.parametrize("command", [[], *([name] for name in ("predict", "explain", "audit"))])
def test_help_imports_nothing_that_takes_long(command):
    """A limit in seconds would depend on the machine."""
    code = (
        "import sys; before = set(sys.modules); from facetell.app.command_line import main; "
        f"status = main({[*command, '--help']}); "
        f"sys.exit(status or ', '.join(set({HEAVY}) & (sys.modules.keys() - before)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: facetell" in done.stdout


def test_the_compiler_of_torch_is_imported_only_where_it_is_used():
    code = (
        "import sys; import facetell.models; from facetell import explain; import torch; "
        "explain(facetell.models.build('simplenet', image_size=64), torch.rand(1, 3, 64, 64)); "
        "assert 'torch._dynamo' not in sys.modules; "
        "f = torch.compile(lambda x: x + 1, backend='eager'); "
        "assert f(torch.ones(1)) == 2; assert torch._dynamo.__file__; "
        "import torchvision; torchvision.ops.roi_align(torch.rand(1, 1, 4, 4), "
        "[torch.tensor([[0., 0., 2., 2.]])], 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_faces_are_found_and_each_gets_a_verdict(tmp_path, capsys):
    """A portrait in the public domain, twice in one picture; and a picture without a face."""
    portrait = Image.fromarray(data.astronaut())
    both = Image.new("RGB", (1000, 560), (120, 140, 160))
    both.paste(portrait, (20, 30))
    both.paste(portrait.resize((380, 380)), (590, 90))
    both.save(tmp_path / "both.png")
    Image.fromarray(data.coffee()).save(tmp_path / "none.png")
    given = [str(tmp_path / "both.png"), str(tmp_path / "none.png")]
    assert main(["predict", *given, "--crop", "--all", "--format", "jsonl"]) == 1
    first, _, second, _, none = lines(capsys)
    assert [row["face"] for row in (first, second)] == [0, 1]
    for row, (left, top, scale) in ((first, (20, 30, 1)), (second, (590, 90, 380 / 512))):
        middle = np.mean(row["corners"], axis=0)
        np.testing.assert_allclose(middle, [left + 222 * scale, top + 120 * scale], atol=25 * scale)
        assert "how faces lie in the training images is not known" in row["unlike"][0]
    assert "no face is found" in none["error"]
    assert none["verdict"] is None
    assert main(["predict", given[0], "--crop"]) == 0
    out = capsys.readouterr().out
    assert "both.png, face 1" in out
    assert "both.png, face 2" in out
