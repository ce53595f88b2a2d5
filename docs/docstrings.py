# SPDX-License-Identifier: Apache-2.0
"""How docstrings become Markdown for the API reference: sections, definitions, examples.

Ours follow numpydoc in their sections, but describe an argument in prose (``images : float (B, 3,
H, W) in [0, 1]``) where numpydoc wants a type, which griffe's own parser would print as code.
"""

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(^>>> .*(?:\n.+)*)", re.MULTILINE)
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
DEFINITION = re.compile(r"^(\S(?:[^\n:]*\S)?) : (.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)
CODE = re.compile(r"(``.+?``|`.+?`)", re.DOTALL)


class Markdown(Extension):
    """Rewrite every docstring before it is rendered."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """Headings of sections in bold, ``name : what it is`` as a list, examples fenced."""
    parts = EXAMPLE.split(text)
    return "".join(_fenced(part) if part.startswith(">>>") else _prose(part) for part in parts)


def _fenced(example: str) -> str:
    return f"```pycon\n{example}\n```"


def _prose(text: str) -> str:
    text = SECTION.sub(r"**\1**\n", text)
    text = DEFINITION.sub(_defined, text)
    # outside of code, <model> would be taken for HTML
    parts = CODE.split(text)
    return "".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))


def _defined(found: re.Match[str]) -> str:
    names, said = found.groups()
    lines = " ".join(line.strip() for line in said.splitlines())
    return f"\n`{names}`\n:   {lines}\n"
