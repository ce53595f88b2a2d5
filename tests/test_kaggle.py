"""The Kaggle client without credentials; nothing leaves this machine."""

import os
import subprocess
import sys

from conftest import ROOT

SCRIPT = """
import pipeline, pathlib
from facetell.errors import UserError
from facetell.sources import kaggle
try:
    kaggle.fetch(pathlib.Path("t.zip"), dataset="a/b", expected=None, downloads=pathlib.Path("d"))
except UserError as error:
    print("ERROR:", error)
"""


def test_missing_credentials_are_one_clear_error(tmp_path):
    env = {key: value for key, value in os.environ.items() if not key.startswith("KAGGLE")}
    env |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.stdout.startswith("ERROR: no Kaggle credentials"), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert "data.archive=PATH.zip" in done.stdout
    assert not (tmp_path / "t.zip").exists()
