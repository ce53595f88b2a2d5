# SPDX-License-Identifier: Apache-2.0
"""What the site is built from, as far as it can be tried without building it (``make docs``)."""

import importlib.util
import re

import yaml
from support import ROOT


def docstrings():
    spec = importlib.util.spec_from_file_location("docstrings", ROOT / "docs/docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstrings_become_markdown():
    text = """Judge ``<model>`` by <name>.

Parameters
----------
labels, margins : (N,); infinite margins
    are allowed.
draws : None, or of the set.

>>> judge([1], [0.5])
True

Raises
------
UserError : always.
"""
    assert (
        docstrings().markdown(text)
        == """Judge ``<model>`` by &lt;name>.

**Parameters**


`labels, margins`
:   (N,); infinite margins are allowed.


`draws`
:   None, or of the set.


```pycon
>>> judge([1], [0.5])
True
```

**Raises**


`UserError`
:   always.

"""
    )


def test_nothing_is_fetched_from_elsewhere():
    """Neither fonts nor, from a repository's address, its number of stars."""
    text = (ROOT / "mkdocs.yml").read_text()
    settings = yaml.safe_load(text)
    assert settings["theme"]["font"] is False
    assert settings["strict"] is True
    assert "repo_url" not in settings
    assert not re.search(r"https?://", text)
    for page in (ROOT / "docs").rglob("*.md"):
        assert "```mermaid" not in page.read_text(), "Material would load it from a server"


def test_every_package_of_the_library_has_a_page():
    packages = {path.parent.name for path in (ROOT / "src/facetell").glob("*/__init__.py")}
    pages = {path.stem for path in (ROOT / "docs/api").glob("*.md")} - {"index"}
    assert pages == packages
