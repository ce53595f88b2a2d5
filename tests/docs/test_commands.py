# SPDX-License-Identifier: Apache-2.0
"""Every command of the pages: it parses, its parameters compose, and the cheap ones are run."""

import argparse
import importlib
import inspect
import re
import subprocess
from collections import Counter
from contextlib import suppress

import pytest
from dvc.cli.parser import get_main_parser
from dvc.utils.hydra import get_hydra_sweeps
from support import ROOT
from support.pages import BLOCKS, commands
from typer.core import TyperCommand

from facetell.app import command_line
from pipeline.compose import compose

SHELL = [block for block in BLOCKS if block.language in ("bash", "console")]
COMMANDS = [command for block in SHELL if not block.skipped for command in commands(block)]
NOT_RUN = {  # blocks that are not checked, by page; each says why
    "CONTRIBUTING.md": 1,
    "docs/evaluation.md": 1,
    "docs/experiments.md": 1,
    "docs/explanations.md": 1,
    "docs/machines.md": 2,
    "docs/perturbations.md": 1,
    "docs/quickstart.md": 1,
    "docs/report.md": 1,
    "docs/serve.md": 1,
}


class Parsed(Exception):
    """The arguments of a command were understood."""


def test_what_is_not_run_is_counted_and_says_why():
    skipped = [block for block in SHELL if block.skipped]
    assert Counter(block.page for block in skipped) == NOT_RUN
    marked = [re.findall(r"<!-- skip: next", (ROOT / page).read_text()) for page in NOT_RUN]
    # the example in CONTRIBUTING of how to mark is not a mark
    assert sum(map(len, marked)) == len(skipped) + 1


def test_there_are_commands():
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.name} {' '.join(c.words)}"[:80])
def test_command(command, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    program, *arguments = without_variables(command.words, monkeypatch)
    CHECKS[program](arguments, monkeypatch, tmp_path)


def without_variables(words, monkeypatch):
    """The words of a command after its settings of variables, which hold for it."""
    number = next(at for at, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    for word in words[:number]:
        monkeypatch.setenv(*word.split("=", 1))
    return words[number:]


def dvc(arguments, monkeypatch, tmp_path):
    understood = get_main_parser().parse_args(arguments)
    overrides = getattr(understood, "set_param", None) or []
    for number, sweep in enumerate(get_hydra_sweeps({"params.yaml": overrides})):
        compose(tmp_path / f"params{number}.yaml", sweep["params.yaml"])


def python(arguments, monkeypatch, tmp_path):
    if arguments[0] != "-m":
        assert arguments[0] == "tasks.py"
        assert (ROOT / "tasks.py").is_file()
        assert arguments[1] in importlib.import_module("tasks").JOBS
        return
    name, *given = arguments[1:]
    module = importlib.import_module(name)
    source = inspect.getsource(module)
    assert '__name__ == "__main__"' in source, name
    if "argparse" not in source:  # a stage: its arguments are those of main
        inspect.signature(module.main).bind(*given)
        return
    takes = inspect.signature(module.main).parameters
    understood(module.main, given if takes else [], given, monkeypatch)


def understood(function, passed, given, monkeypatch):
    """Call up to the parsing of the arguments, and no further."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None):
        parse(parser, given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(Parsed):
        function(*passed)


def make(arguments, monkeypatch, tmp_path):
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


def facetell(arguments, monkeypatch, tmp_path):
    def stop(*given):
        raise Parsed

    monkeypatch.setattr(TyperCommand, "invoke", stop)
    with suppress(Parsed):
        raise ValueError(f"exit status {command_line.main(arguments)}")


def pytest_(arguments, monkeypatch, tmp_path):
    for word in arguments:
        if "/" in word:
            assert (ROOT / word).exists(), word
        else:
            assert word in ("-n0", "-s", "--slow", "-k") or arguments[-2] == "-k", word


def pre_commit(arguments, monkeypatch, tmp_path):
    assert arguments == ["install"]
    assert (ROOT / ".pre-commit-config.yaml").is_file()


def activate(arguments, monkeypatch, tmp_path):
    assert arguments == [".venv/bin/activate"]


CHECKS = {
    ".": activate,
    "dvc": dvc,
    "facetell": facetell,
    "make": make,
    "pre-commit": pre_commit,
    "pytest": pytest_,
    "python": python,
}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("dvc", "exp run -S train.epoch=3"),
        ("dvc", "exp run -S model=resnet51"),
        ("dvc", "exp ran"),
        ("facetell", "explane models/a.safetensors"),
        ("make", "nothing"),
        ("pytest", "tests/nothing"),
        ("python", "-m pipeline.crossed"),
        ("python", "-m benchmarks.explain --modles resnet50"),
        ("python", "-m pipeline.train"),
    ],
)
def test_a_wrong_command_is_found_out(program, words, monkeypatch, tmp_path):
    with pytest.raises((Exception, SystemExit)) as error:
        CHECKS[program](words.split(), monkeypatch, tmp_path)
    assert error.type is not Parsed


CHEAP = [c for c in COMMANDS if c.words[0] == "facetell" and (c.printed or "export" in c.words)]


@pytest.mark.parametrize("command", CHEAP, ids=lambda c: f"{c.name} {' '.join(c.words)}")
def test_command_is_run_and_prints_what_the_page_says(command, workspace, monkeypatch, capsys):
    """Numbers and verdicts are those of the small detector, so that only the form is compared."""
    monkeypatch.chdir(workspace)
    assert command_line.main(command.words[1:]) == 0
    if command.printed:
        assert form(capsys.readouterr().out) == form(command.printed)


def form(text: str) -> list[str]:
    text = re.sub(r"\d+\.\d+", "0.0", text)
    return re.sub(r"\b(real|fake), ", "verdict, ", text).strip().splitlines()
