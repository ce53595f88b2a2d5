# SPDX-License-Identifier: Apache-2.0
"""Commands that run a module of the checkout they are called in."""

import json

import pytest

from facetell.app.checkout import checkout
from facetell.app.command_line import main
from facetell.common.errors import UserError

ECHO = """
import json, os, sys
from pathlib import Path
Path("called.json").write_text(json.dumps([os.getcwd(), *sys.argv[1:]]), encoding="utf-8")
sys.exit(3)
"""


@pytest.fixture
def home(tmp_path):
    """A checkout whose modules note how they were called and end with the status 3."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "docs").mkdir()
    for name in ("dvc.yaml", "pipeline/__init__.py"):
        (tmp_path / name).touch()
    for name in ("versions", "experiments"):
        (tmp_path / f"pipeline/{name}.py").write_text(ECHO, encoding="utf-8")
    return tmp_path.resolve()


def called(home, *words: str) -> list[str]:
    assert main(words) == 3  # the status of the module
    return json.loads((home / "called.json").read_text(encoding="utf-8"))


def test_compare_runs_at_the_top_with_paths_of_the_current_folder(home, monkeypatch):
    monkeypatch.chdir(home / "docs")
    page, diff = str(home / "plots/versions/index.html"), str(home / "docs/diff.md")
    assert called(home, "compare", "main", "--markdown", "diff.md") == [
        str(home), "--markdown", diff, "--html", page, "--", "main",
    ]  # fmt: skip
    assert called(home, "compare", "a", "b", "--no-html") == [str(home), "--", "a", "b"]
    assert called(home, "compare", "a", "--html", "p.html")[1:] == [
        "--html", str(home / "docs/p.html"), "--", "a",
    ]  # fmt: skip


def test_experiments_hands_on_its_options(home, monkeypatch):
    monkeypatch.chdir(home)
    assert called(home, "experiments", "--last", "3", "--sort", "auc", "--all")[1:] == [
        "--last", "3", "--sort", "auc", "--format", "table", "--all",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [["compare", "main"], ["experiments"]])
def test_outside_of_a_checkout_it_is_said_what_is_missing(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "is not in a checkout of facetell" in said
    assert len(said.strip().splitlines()) == 1


def test_a_folder_with_a_dvc_yaml_of_something_else_is_no_checkout(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(UserError, match="not in a checkout"):
        checkout(tmp_path)
