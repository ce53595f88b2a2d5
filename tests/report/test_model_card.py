# SPDX-License-Identifier: Apache-2.0
"""The model card says what is known of a detector, in the form that the Hub reads."""

import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from support import ROOT
from support.detectors import saved

from facetell import __version__
from facetell.app.card import facts_of, write_card
from facetell.app.command_line import main
from facetell.common.errors import UserError
from facetell.report.model_card import AUTHORS, RESULTS, Facts, model_card

NAME = next(iter(sorted((ROOT / "metrics/explain").glob("*.json")))).stem


@pytest.fixture(scope="module")
def known() -> Facts:
    """A detector of the committed results, whose weights are not in git."""
    scores, explained, data = (
        json.loads((ROOT / "metrics" / path).read_text(encoding="utf-8"))
        for path in (f"models/{NAME}.json", f"explain/{NAME}.json", "data.json")
    )
    card = {"network": NAME, "width": 0.5, "image_size": 64, "labels": ["real", "fake"],
            "threshold": scores["clean"]["threshold_margin"], "data": "abc"}  # fmt: skip
    return Facts(
        name=NAME, card=card, scores=scores, explained=explained, data=data,
        training=scores["training"],
    )  # fmt: skip


def test_metadata_have_the_results_with_their_intervals(known):
    card = ModelCard(model_card(known, repo="someone/it"))
    said = card.data.to_dict()
    assert (said["license"], said["library_name"]) == ("apache-2.0", "facetell")
    assert said["pipeline_tag"] == "image-classification"
    assert {"deepfake-detection", "rendered-faces"} <= set(said["tags"])
    found = {result.metric_type: result for result in card.data.eval_results}
    clean = known.scores["clean"]
    assert found["roc_auc"].metric_value == clean["auc"]
    low, high = clean["interval"]["auc"]
    assert found["roc_auc"].metric_args == {"confidence": 0.95, "low": low, "high": high}
    assert set(found) == {hub for name, (hub, _) in RESULTS.items() if name in clean}
    assert {result.dataset_split for result in found.values()} == {"test"}


def test_the_text_says_what_was_measured(known):
    text = ModelCard(model_card(known, repo='some"one/it')).text
    low, high = known.scores["clean"]["interval"]["auc"]
    value = known.scores["clean"]["auc"]
    assert f"| AUC | {value:.3f} [{low:.3f}, {high:.3f}] |" in text
    assert "trained on rendered faces, not on photos" in text
    assert f"lowest with `{known.scores['robustness']['worst']}`" in text
    for one in known.explained["looks_at"]:
        assert (one["sentence"] in text) == (one["class"] == "fake")
    for verdict in known.explained["planted"]["verdicts"].values():
        assert verdict["claim"] in text
    assert r'Detector.from_pretrained("some\"one/it")' in text or "\\u0022" in text
    assert "{{" not in text.replace("{{facetell developers}}", "")
    assert "\n\n\n" not in text


def test_photos_are_not_called_rendered_and_have_no_free_licence(known):
    data = known.data | {"rendered": {"images": 0, "of": known.data["images"], "sets": []}}
    card = ModelCard(model_card(Facts(name=NAME, card=known.card, scores=known.scores, data=data)))
    assert card.data.license == "other"
    assert "rendered" not in card.text
    assert "The licences of the training images decide" in card.text
    some = known.data | {"rendered": {"images": 5, "of": 50, "sets": ["demo"]}}
    text = model_card(Facts(name=NAME, card=known.card, data=some), licence="cc-by-nc-4.0")
    assert "A part of its training images are rendered faces" in text
    assert "`cc-by-nc-4.0`" in text


def test_what_was_not_measured_is_not_made_up(known):
    card = ModelCard(model_card(Facts(name=NAME, card=known.card)))
    assert card.data.eval_results is None
    for sentence in ("It was not measured.", "That was not examined.", "fingerprint, `abc`"):
        assert sentence in card.text
    without = {key: value for key, value in known.explained.items() if key != "planted"}
    looked = Facts(name=NAME, card=known.card, scores=known.scores, explained=without)
    assert "Whether these maps can be believed was not tested" in model_card(looked)


def test_scores_of_other_weights(known):
    other = known.card | {"threshold": known.card["threshold"] + 0.1}
    with pytest.raises(UserError, match=r"is of other weights .* run dvc repro"):
        model_card(Facts(name=NAME, card=other, scores=known.scores))


def test_it_is_cited_as_the_project_says(known):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert [author["name"] for author in cited["authors"]] == [AUTHORS]
    assert cited["title"] in model_card(known)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    saved(Path("models/mine.safetensors"))
    assert main(["card", "mine", "--licence", "mit"]) == 0
    assert capsys.readouterr().out.split() == [
        str(Path("mine-card", name)) for name in ("model.safetensors", "config.json", "README.md")
    ]
    config = json.loads(Path("mine-card/config.json").read_text(encoding="utf-8"))
    assert (config["library_name"], config["architecture"]) == ("facetell", "simplenet")
    assert config["threshold"] == 0.01
    card = ModelCard.load(Path("mine-card/README.md"))
    assert card.data.license == "mit"
    assert 'from_pretrained("mine-card")' in card.text
    assert main(["card", "other"]) == 1
    assert "there is no detector 'other'" in capsys.readouterr().err
    Path("file").write_bytes(b"")
    assert main(["card", "mine", "--out", "file"]) == 1
    assert "file is a file: name a folder" in capsys.readouterr().err


def test_scores_count_only_if_they_are_of_these_weights(tmp_path):
    weights = saved(tmp_path / "models/mine.safetensors")
    metrics = tmp_path / "metrics/models"
    metrics.mkdir(parents=True)
    (metrics / "mine.json").write_text(
        '{"training": {"cost": {"parameters": 1}}, "clean": {}}', encoding="utf-8"
    )
    (weights.with_suffix(".json")).write_text('{"cost": {"parameters": 2}}', encoding="utf-8")
    assert facts_of(weights).scores is None
    (written, *_) = write_card(weights, tmp_path / "card")
    assert written.read_bytes() == weights.read_bytes()
