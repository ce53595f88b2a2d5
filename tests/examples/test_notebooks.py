# SPDX-License-Identifier: Apache-2.0
"""The notebooks run from top to bottom, and are kept without outputs."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from support import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    settings = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=settings).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    text = "".join(output.get("text", "") for output in outputs)
    # what the notebook says must be worth reading: it has learnt, and maps could be judged
    auc = float(re.search(r"validation AUC ([\d.]+)", text)[1])
    decided = int(re.search(r"artefacts decide (\d+) of", text)[1])
    assert auc > 0.7
    assert decided > 0
    assert "(blind)" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
