# SPDX-License-Identifier: Apache-2.0
"""Paths with any characters: what the pages say to type reaches the stages, with the real dvc."""

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import to_hydra_overrides
from support import ROOT, separable
from support.clones import ENV, read, tiny_clone

from facetell.common.errors import UserError
from pipeline.compose import compose, quoted

PAGE = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*`) \| (`'data\.archive=.*'`) \|$", PAGE, flags=re.MULTILINE)
TYPED = [
    (path, typed)
    for paths, values in ROWS[:-1]
    for path, typed in zip(*(re.findall(r"`(.+?)`", c) for c in (paths, values)), strict=True)
]
# everything at once that a file name may hold on this system
ODD = (
    "a (1) =,#&% [x]{y}'$~é脸;!@+"
    if os.name == "nt"
    else "a (1)=,#&% [x]{y}\"'$z${w}\\~é脸;!*?|<>`"
)


def archive(tmp_path: Path, *arguments: str) -> str | list[str]:
    """What data.archive comes to where ``-S`` has these arguments, as dvc reads them."""
    understood = get_main_parser().parse_args(["exp", "run", "-S", "data=faces140k", *arguments])
    overrides = to_path_overrides(understood.set_param)["params.yaml"]
    assert not any(one.is_sweep_override() for one in to_hydra_overrides(overrides))
    compose(tmp_path / "params.yaml", overrides)
    written = yaml.safe_load((tmp_path / "params.yaml").read_text(encoding="utf-8"))
    return written["data"]["sets"]["faces140k"]["archive"]


@pytest.mark.parametrize(("path", "typed"), TYPED, ids=lambda text: ascii(text))
def test_what_the_table_says_to_type_is_the_path(path, typed, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(typed)
    assert archive(tmp_path, "-S", *words) == path
    if shell := shutil.which("sh"):
        command = [shell, "-c", f"printf %s {typed}"]
        shown = subprocess.run(command, capture_output=True, check=True).stdout.decode()
        assert [shown] == words


def test_the_table_has_every_character_and_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert set("()=,#&% []{}\"'$\\~;!é脸") <= set("".join(path for path, _ in TYPED))
    paths, typed = ROWS[-1]
    found = archive(tmp_path, "-S", *shlex.split(typed.strip("`")))
    assert found == re.findall(r"`(.+?)`", paths)


def test_any_path_can_be_quoted(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    draw = random.Random(0)
    for alphabet in ("\\\"'$a", "\\\"'$(){}[]=,#&% ~é脸:;!`|*/"):
        for _ in range(4):
            path = f"/{''.join(draw.choices(alphabet, k=6))}"
            path += "${w}"
            assert archive(tmp_path, "-S", quoted(f"data.archive={path}")) == path


@pytest.mark.parametrize("path", ["/a (1).zip", "/a,b.zip", "/a=b.zip", "/Eve's é.zip"])
def test_a_value_that_hydra_does_not_take_is_answered_with_what_to_type(path, tmp_path):
    with pytest.raises(UserError) as error:
        compose(tmp_path / "params.yaml", [f"data.archive={path}"])
    *_, typed = str(error.value).partition("type ")
    assert shlex.split(typed) == [f'data.archive="{path}"']
    assert "\n" not in str(error.value)


def test_the_command_that_composes_says_it_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.compose", "data.archive=/a (1).zip"],
        cwd=ROOT, env=ENV, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().startswith("facetell: data.archive=/a (1).zip is not")


def test_an_archive_and_a_folder_of_such_names_are_fetched_by_dvc(tmp_path):
    """By quotes and by a variable."""
    home = tiny_clone(tmp_path / "clone")
    root, zipped = tmp_path / ODD, tmp_path / f"{ODD}.zip"
    for label, kind in enumerate(("real", "fake")):
        (root / kind).mkdir(parents=True)
        (root / kind / "1.png").write_bytes(separable(1, label))
    with zipfile.ZipFile(zipped, "w") as made:
        for file in root.rglob("*.png"):
            made.write(file, file.relative_to(root).as_posix())
    options = ["-S", "data=mix", "-S", "data/set=[faces140k,folder]",
               "-S", "data.sets.faces140k.archive=${oc.env:FACES}",
               "-S", quoted(f"data.sets.folder.root={root}")]  # fmt: skip

    done = subprocess.run(
        ["dvc", "exp", "run", *options, "fetch"],
        cwd=home, env=ENV | {"FACES": str(zipped)}, timeout=300, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    seen = read(home / "data/watch/mix.json")
    assert {name: part["files"] for name, part in seen.items()} == {"faces140k": 1, "folder": 2}
    fetched = home / "data/raw/mix"
    assert (fetched / "faces140k/faces140k.zip").read_bytes() == zipped.read_bytes()
    with zipfile.ZipFile(fetched / "folder/folder.zip") as made:
        assert sorted(made.namelist()) == ["fake/1.png", "real/1.png"]
