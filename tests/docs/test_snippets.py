# SPDX-License-Identifier: Apache-2.0
"""The Python of the pages runs, page by page, on a small trained detector and small images."""

import shutil
import sys
import types
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import matplotlib.pyplot as plt
import pytest
import timm.models._registry as timm_registry
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from support import ROOT
from support.pages import BLOCKS, PAGES
from support.serving import client
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from facetell.evaluation.perturbations import PERTURBATIONS
from facetell.explain import METHODS
from facetell.models import build, parameter_count

MODULE = "a_reader_s_module"  # what functions that a page defines belong to
WITH_PYTHON = sorted({block.page for block in BLOCKS if block.language == "python"})
YAML = [block for block in BLOCKS if block.language == "yaml"]


@pytest.fixture
def registries(monkeypatch):
    """What a page registers is forgotten afterwards."""
    before = [(registry, dict(registry)) for registry in (PERTURBATIONS, METHODS)]
    module = types.ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    yield module
    for registry, content in before:
        registry.clear()
        registry.update(content)
    for name in vars(module).get("__all__", ()):
        timm_registry._model_entrypoints.pop(name, None)


@pytest.fixture
def server(workspace, monkeypatch):
    """What a page sends to a server goes to one inside this process."""
    with client([workspace / "models/resnet50.safetensors"]) as inside:
        monkeypatch.setattr(
            httpx, "post", lambda url, **sent: inside.post(urlsplit(url).path, **sent)
        )
        yield


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python(page, workspace, registries, server, monkeypatch):
    monkeypatch.chdir(workspace)
    document = Document.parse(str(ROOT / page), PythonCodeBlockParser())
    document.namespace["__name__"] = MODULE
    examples = list(document.examples())
    assert examples
    for example in examples:
        example.evaluate()
    plt.close("all")


def test_python_is_found_on_every_page_that_has_it():
    assert WITH_PYTHON == [
        "docs/design.md", "docs/detectors.md", "docs/evaluation.md", "docs/explanations.md",
        "docs/perturbations.md", "docs/photos.md", "docs/quickstart.md", "docs/serve.md",
    ]  # fmt: skip
    assert [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.name)
def test_yaml_is_a_choice_that_composes_and_builds(block, tmp_path):
    """The second line of a block is the path of the file that a reader is asked to make."""
    path = Path(block.text.splitlines()[1].removeprefix("# "))
    assert path.parts[:2] == ("conf", "model")
    assert not (ROOT / path).exists()
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / path).write_text(block.text)
    with initialize_config_dir(str(tmp_path / "conf"), version_base=None):
        config = compose("config", overrides=[f"model={path.stem}"])
    (entry,) = OmegaConf.to_container(config, resolve=True)["models"].items()
    assert yaml.safe_load(block.text)["models"] == dict([entry])
    with torch.device("meta"):
        assert parameter_count(build(entry[1].get("network") or entry[0])) > 0
