# SPDX-License-Identifier: Apache-2.0
"""``pipeline.versions`` and ``pipeline.experiments`` on a real repository of git, dvc and Hydra."""

import json
from pathlib import Path

import pytest
from support.clones import call
from support.tiny_repository import tiny_repository

from facetell.common.errors import UserError
from pipeline import experiments, versions

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Main, and of it the experiments puffy-dags (another seed), other-faces (other images, and a
    second model) and the queued waits."""
    home = tiny_repository(tmp_path_factory.mktemp("versions") / "repository")
    for name, *settings in (
        ("puffy-dags", "train.seed=1", "data.image_size=32"),
        ("other-faces", "data=other", "model=two"),
    ):
        chosen = [part for setting in settings for part in ("-S", setting)]
        call(home, "dvc", "exp", "run", "-n", name, *chosen)
    call(home, "dvc", "exp", "run", "--queue", "-n", "waits", "-S", "train.seed=5")
    call(home, "git", "checkout", "-q", ".")
    call(home, "dvc", "checkout", "-q")
    return home


@pytest.fixture
def inside(home, monkeypatch) -> Path:
    monkeypatch.chdir(home)
    return home


def compared(tmp_path, *names: str) -> dict:
    versions.main(*names, "--json", str(tmp_path / "compared.json"))
    return json.loads((tmp_path / "compared.json").read_text(encoding="utf-8"))


def test_an_experiment_by_name_is_paired_with_main_by_image(inside, tmp_path, capsys):
    found = compared(tmp_path, "main", "puffy-dags", "--html", str(tmp_path / "page.html"))
    pair = found["models"]["a"]["pairs"][0]
    assert pair["images"] == 30
    assert pair["turned"]
    assert pair["differences"]["auc"]["low"] < pair["differences"]["auc"]["value"]
    keys = [change["key"] for change in found["params"][0]]
    assert keys == ["data.image_size", "data.sets.demo.render.size", "train.seed"]
    commits = [version["commit"] for version in found["versions"]]
    assert commits[0] == call(inside, "git", "rev-parse", "main").strip()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "ROC curves of a" in page
    assert "data:image/jpeg;base64," in page  # the packed image, from dvc's cache
    said = capsys.readouterr().out
    assert "### `main` → `puffy-dags`" in said
    assert str(tmp_path / "page.html") in said


def test_one_revision_is_compared_with_the_workspace(inside, tmp_path):
    found = compared(tmp_path, "puffy-dags")
    assert [version["name"] for version in found["versions"]] == ["puffy-dags", "workspace"]
    assert found["versions"][1]["commit"] == ""
    assert found["models"]["a"]["pairs"][0]["turned"]
    assert compared(tmp_path, "main")["models"]["a"]["pairs"][0]["turned"] == []


def test_other_models_and_other_images(inside, tmp_path):
    found = compared(tmp_path, "main", "puffy-dags", "other-faces")
    assert [bool(n) for n in found["models"]["b"]["numbers"]["auc"]] == [False, False, True]
    assert found["models"]["a"]["pairs"][0]["images"] == 30
    assert found["models"]["a"]["pairs"][1] is None
    assert any("have other test images" in note for note in found["notes"])


def test_a_commit_before_there_were_results(inside, tmp_path):
    first = call(inside, "git", "rev-list", "--max-parents=0", "main").strip()
    found = compared(tmp_path, first)
    assert found["notes"] == [f"{first} has no results: no metrics/models"]
    assert found["models"]["a"]["numbers"]["auc"][0] is None


def test_a_fresh_clone_has_the_numbers_and_says_how_to_get_the_rest(home, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    call(home, "git", "clone", "-q", ".", str(clone))
    monkeypatch.chdir(clone)
    call(clone, "git", "commit", "-q", "--allow-empty", "-m", "later")
    found = compared(tmp_path, "HEAD~1", "HEAD")
    assert found["models"]["a"]["numbers"]["auc"][0]["low"]
    assert found["models"]["a"]["pairs"] == [None]
    assert "the predictions of HEAD~1 and HEAD are not here" in found["notes"][0]
    assert "dvc repro" in found["notes"][0]


def test_what_is_no_revision(inside):
    with pytest.raises(UserError, match="there is no revision nonesuch: name a branch"):
        versions.main("nonesuch")


def test_outside_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in (versions, experiments):
        with pytest.raises(UserError, match="dvc cannot"):
            module.main(*(["main"] if module is versions else []))


def test_experiments_are_listed_with_what_was_set(inside, capsys):
    experiments.main("--format", "jsonl")
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    found = {row["name"]: row for row in rows}
    assert {name: row["differs"] for name, row in found.items() if row["base"] == "main"} == {
        "workspace": [],
        "puffy-dags": ["data.image_size=32", "train.seed=1"],
        "other-faces": ["data=other", "model=two"],
        "waits": ["train.seed=5"],
    }
    assert found["waits"]["state"] == "queued"
    assert found["waits"]["numbers"] == {}
    assert found["other-faces"]["models"] == ["a", "b"]
    assert found["puffy-dags"]["numbers"]["auc_low"] < found["puffy-dags"]["numbers"]["auc"]


def test_the_last_experiments_and_their_order(inside, capsys):
    experiments.main("--last", "2", "--sort", "auc", "--format", "csv")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name,revision,base,when,state,models,headline,auc,")
    names = [line.split(",")[0] for line in lines[1:]]
    assert set(names) == {"workspace", "main", "waits", "other-faces"}
    assert names[-1] == "waits"  # which has no AUC yet
    experiments.main("--last", "1")
    assert "what differs" in capsys.readouterr().out
