# SPDX-License-Identifier: Apache-2.0
"""Tables and pictures of the pages are those that the committed results give."""

import re
import subprocess

import pytest
from PIL import Image
from support import ROOT
from support.pages import PAGES

from benchmarks import augmentations
from facetell import __version__
from facetell.common.errors import UserError
from facetell.common.files import read_json
from pipeline import publish

KB = 1000


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def committed():
    """Whoever has run ``dvc repro`` has results of their own, whose tables are not those of the
    pages."""
    status = ["git", "status", "--porcelain", "--", "metrics", "dvc.lock"]
    if subprocess.run(status, capture_output=True, text=True, check=True).stdout:
        pytest.skip("metrics/ is not what was committed: python -m pipeline.publish, and commit")


@pytest.mark.parametrize("page", publish.PAGES, ids=str)
@pytest.mark.usefixtures("committed")
def test_tables_are_those_of_the_committed_results(page):
    text = page.read_text(encoding="utf-8")
    assert publish.fill(text) == text, "run python -m pipeline.publish"


def test_every_table_stands_somewhere():
    used = {name for page in PAGES for _, name, _ in publish.BLOCK.findall(page.read_text())}
    assert used == set(publish.BLOCKS)


@pytest.mark.usefixtures("committed")
def test_a_stale_number_is_found_out_and_replaced():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index("<!-- results:demo -->")
    stale = text[:start] + re.sub(r"0\.\d{3}", "0.123", text[start:])
    assert stale != text
    assert publish.fill(stale) == text


def test_a_wrong_name_lists_the_valid_ones():
    with pytest.raises(UserError, match="demo, shortcuts"):
        publish.fill("<!-- results:dmeo -->\n<!-- /results:dmeo -->")


@pytest.mark.parametrize("name", publish.DRAWINGS)
@pytest.mark.usefixtures("committed")
def test_pictures_are_small_and_of_the_committed_results(name):
    path = publish.PICTURES / f"{name}.png"
    assert path.stat().st_size < 150 * KB
    with Image.open(path) as picture:
        assert picture.width <= publish.WIDTH
        assert picture.text[publish.MADE_FROM] == publish.source(), "run python -m pipeline.publish"


def test_the_changelog_has_this_version_and_what_is_to_come():
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert versions[1] == __version__


def test_the_citation_is_of_this_version():
    said = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in said


@pytest.mark.parametrize("path", sorted((ROOT / augmentations.RESULTS).glob("*.json")), ids=str)
def test_what_augmentation_does_is_as_it_was_measured(path):
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    found = read_json(path)
    assert augmentations.robustness_table(found) in text
    assert augmentations.region_table(found) in text
