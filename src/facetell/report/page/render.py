# SPDX-License-Identifier: Apache-2.0
"""From plain values to one HTML file that needs nothing else: no network, no other file.

What users named (models, generators, files) is text: jinja2 escapes it in HTML, JSON escapes it in
data, and the content policy of the page runs no script but those whose hashes it lists.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup, escape

from facetell import __version__
from facetell.metrics import intervals
from facetell.report.markdown import Heading
from facetell.report.page.browser import browser
from facetell.report.page.claims import claims
from facetell.report.page.inputs import Inputs
from facetell.report.page.parts import Chart, Group, Picture, slug
from facetell.report.page.scoreboard import scoreboard
from facetell.report.page.sections import sections

VEGA_LITE = "6.1"  # draws the specifications of version 5 in plots/templates, too
LAST = ("training", "published", "cross", "reading")  # sections after the browser of images
BROWSER = ("images.js", "browser.js", "viewer.js")
_NUMBER = re.compile(r"[+\-–]|[+\-]?[\d.,]+( ?[kMG%]?B?)?( .*)?$")
_INTERVAL = re.compile(r"(?<= )\[[^\[\]<>&]*\]")


@dataclass(frozen=True)
class Grid:
    """A table as the template draws it; ``numbers`` says which columns are aligned to the right."""

    heads: list[str]
    rows: list[list[str]]
    numbers: list[bool]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Grid":
        """Cells are words already; what is missing is empty."""
        rows = [["" if pd.isna(cell) else str(cell) for cell in row]
                for row in table.itertuples(index=False)]  # fmt: skip
        columns = list(zip(*rows, strict=True)) or [() for _ in table.columns]
        numbers = [all(_NUMBER.match(cell) or not cell for cell in cells) for cells in columns]
        return cls([str(head) for head in table.columns], rows, numbers)


def report_page(found: Inputs) -> str:
    """The report as the text of one HTML file.

    Raises
    ------
    UserError : predictions are of other images than ``found.test``.
    """
    shown = sections(found)
    images = browser(found)
    data = {"curves": dict(found.curves), "browser": images}
    for place, model in enumerate(images["models"]):
        if "maps" in model:  # read when somebody looks at an image
            data[f"maps-{place}"] = model["maps"].pop("arrays")
    charted = any(isinstance(part, Chart) for section in shown for part in section.parts)
    scripts = ["theme.js", *(["charts.js"] if charted else []), *BROWSER]
    return render(
        "report.html",
        scripts,
        vega=charted,
        data=data,
        title=f"Detectors on {found.name}",
        name=found.name,
        run=_run(found),
        claims=claims(found),
        board=scoreboard(found),
        sections=[section for section in shown if section.key not in LAST],
        last=[section for section in shown if section.key in LAST],
        level=intervals.in_words(),
    )


def render(template: str, scripts: list[str], *, vega: bool = False, **values: Any) -> str:
    """A page of the templates: style sheet, ``scripts``, data and, with ``vega``, the library that
    draws charts are put into it.

    Every page extends ``base.html``, which needs ``title`` and ``data``: what scripts read, by
    name.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facetell.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"words": words, "cell": cell, "slug": slug, "grid": Grid.of,
                            "json": _json}  # fmt: skip
    environment.globals["kind"] = kind
    code = [_script(asset(name)) for name in scripts]
    if vega:
        code.insert(0, _script(_vega()))
    return environment.get_template(template).render(
        style=Markup(asset("report.css")),
        scripts=[Markup(text) for text in code],
        policy=_policy(code),
        vega=vega,
        version=__version__,
        **values,
    )


def kind(part: object) -> str:
    """Which macro draws a part of a section."""
    for known, name in ((Heading, "heading"), (str, "paragraph"), (tuple, "list"),
                        (pd.DataFrame, "table"), (Picture, "picture"), (Chart, "chart"),
                        (Group, "group")):  # fmt: skip
        if isinstance(part, known):
            return name
    raise TypeError(f"{type(part).__name__} is no part of a page")


def words(text: str) -> Markup:
    """Escaped; what stands between backticks is code, and between two stars bold, between single
    stars in italics.

    >>> words("`a<b` is **not** 0.5")
    Markup('<code>a&lt;b</code> is <strong>not</strong> 0.5')
    """
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    safe = re.sub(r"(?<![\\*\w])\*([^*]+)\*(?!\w)", r"<em>\1</em>", safe)
    return Markup(safe.replace(r"\*", "*"))


def cell(text: str) -> Markup:
    """The same, with intervals set apart."""
    return Markup(_INTERVAL.sub(r'<span class="interval">\g<0></span>', str(words(text))))


def asset(name: str) -> str:
    """The text of a style sheet or script of ours."""
    file = resources.files("facetell.report") / "templates" / name
    return file.read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, as vl-convert ships them."""
    bundle: Any = vl_convert.javascript_bundle  # of which the stub demands more than it does
    return str(bundle(vl_version=VEGA_LITE)).replace("\r\n", "\n")


def _script(text: str) -> str:
    """A script that cannot end before its end."""
    return text.replace("</script", r"<\/script").replace("<!--", r"<\!--")


def _policy(scripts: list[str]) -> str:
    """Nothing from elsewhere, and no scripts but these; Vega compiles its expressions."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode() for text in scripts
    ]
    listed = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {listed} "
        "'unsafe-eval'; base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> Markup:
    """JSON that cannot end the element in which it stands."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _run(found: Inputs) -> Mapping[str, Any]:
    """How many images, persons and models."""
    counts = found.data["counts"]
    return {
        "images": len(found.test),
        "real": int((found.test["label"] == 0).sum()),
        "fake": int((found.test["label"] == 1).sum()),
        "persons": int(found.test["person"].nunique()),
        "trained": sum(counts["train"].values()),
        "all": found.data["images"],
        "models": len(found.models),
        "baseline": len(found.scores) > len(found.models),
    }
