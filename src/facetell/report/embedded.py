# SPDX-License-Identifier: Apache-2.0
"""What a page of one file needs: pictures as text in it, and words from the templates."""

import base64
import io
import re

import jinja2
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from PIL import Image

from facetell.common.figure_style import METADATA, plt

QUALITY = 90  # of photos


def environment() -> jinja2.Environment:
    """The templates of ``facetell/report/templates``; everything is escaped, and a missing value is
    an error. The filter ``code`` sets what stands between backticks as code."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("facetell.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True,
    )  # fmt: skip
    made.filters["code"] = code
    return made


def code(text: str) -> Markup:
    """Escaped, with what stands between backticks as code.

    Examples
    --------
    >>> print(code("`a<b`"))
    <code>a&lt;b</code>
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def png(figure: Figure) -> str:
    """A figure, closed afterwards, as the base64 text of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata=METADATA[".png"])
    plt.close(figure)
    return _text(buffer)


def jpeg(pixels: np.ndarray) -> str:
    """uint8 (H, W, 3) as the base64 text of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return _text(buffer)


def _text(buffer: io.BytesIO) -> str:
    return base64.b64encode(buffer.getvalue()).decode()
