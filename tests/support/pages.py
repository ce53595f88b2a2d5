# SPDX-License-Identifier: Apache-2.0
"""The pages of the manual, and the blocks of code in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from sybil import Document
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer

from support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("bash", "console", "mermaid", "python", "text", "yaml")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and text, and why it is not to be run, if so."""

    page: str
    line: int
    language: str
    text: str
    skipped: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a block, as words, and what it prints, if the page says that."""

    name: str
    words: tuple[str, ...]
    printed: str = ""


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page in their order."""
    document = Document.parse(str(page))
    fences = FencedCodeBlockLexer(r"\S+")
    marks = {
        document.text.index("-->", region.start) + len("-->"): region.lexemes["arguments"]
        for region in DirectiveInHTMLCommentLexer("skip")(document)
    }
    found = []
    for region in fences(document):
        before = document.text[: region.start].rstrip()
        reason = marks.get(len(before), "")
        found.append(
            Block(
                page.relative_to(ROOT).as_posix(),
                document.text.count("\n", 0, region.start) + 1,
                region.lexemes["language"],
                region.lexemes["source"],
                reason.partition('"')[2].rstrip('"'),
            )
        )
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]


def commands(block: Block) -> list[Command]:
    """What a block of a shell or of a console has one type, without comments."""
    if block.language == "bash":
        lines = block.text.replace("\\\n", " ").splitlines()
        split = [(line, "") for line in lines]
    else:
        typed = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        split = [tuple(part.split("\n", 1)) for part in typed]
    found = [(shlex.split(line, comments=True), printed) for line, printed in split]
    return [Command(block.name, tuple(words), printed) for words, printed in found if words]


def slug(heading: str) -> str:
    """The anchor of a heading, on GitHub and in the site alike."""
    words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return words.strip().replace(" ", "-")
