# SPDX-License-Identifier: Apache-2.0
"""What README, docs and CONTRIBUTING name exists: files, folders, modules, links."""

import importlib
import re
from pathlib import Path

import pytest
from support import ROOT
from support.pages import BLOCKS, LANGUAGES, PAGES, slug

IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
FOLDERS = ("src", "pipeline", "conf", "tests", "docs", "benchmarks", ".github", ".ci")
FILE = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./@*-]*(?!\S*[<{{])")
DOTTED = re.compile(r"\bfacetell(?:\.[A-Za-z_]\w*)+")
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
# files that a page asks its reader to make
TO_BE_MADE = {"conf/model/convnext_atto.yaml"}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_that_are_named_exist(page):
    named = {name.rstrip(".") for name in FILE.findall(page.read_text(encoding="utf-8"))}
    missing = [name for name in sorted(named - TO_BE_MADE) if not list(ROOT.glob(name.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_dotted_names_are_those_of_the_library(page):
    for name in sorted(set(DOTTED.findall(page.read_text(encoding="utf-8")))):
        found(name)


def found(name: str) -> object:
    """What a dotted name stands for: the longest module that it starts with, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", ["facetell.explane", "facetell.explain.explane"])
def test_a_wrong_name_is_found_out(name):
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        found(name)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {slug(heading) for heading in headings}


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == there


def test_every_block_has_a_language():
    """One without could hide commands that nothing checks."""
    assert {block.language for block in BLOCKS} <= set(LANGUAGES)
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), page
        assert not any(fences[1::2]), page


def test_the_readme_is_read_in_three_minutes():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 120
    assert len(re.findall(r"!\[", text)) == 2
