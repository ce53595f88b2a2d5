# SPDX-License-Identifier: Apache-2.0
"""One look for all figures: colour-blind safe, legible at page width, fixed colour per model.

Names that users gave (of photos, sets, generators, platforms, models) may hold anything:
``legible`` makes labels of them, and ``save`` does so with every text of a figure.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import accumulate
from pathlib import Path

import matplotlib

# a stage has no screen; a notebook, or whoever has chosen already, keeps its own
if "MPLBACKEND" not in os.environ and "matplotlib.pyplot" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from facetell.common.errors import printable
from facetell.common.files import whole
from facetell.common.labels import CLASSES

# Okabe and Ito (2008), safe for the common kinds of colour blindness; yellow left out (on white)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
DASHES = ("-", "--", "-.", ":")
CLASS_COLOURS = dict(zip(CLASSES, COLOURS, strict=False))
WIDTH = 9  # inches; a page shows it at about 0.7 of that
TALLEST = 14  # inches; what a page holds at that width
BANDED = 5  # models up to which their bands can be told apart
FORMATS = (".png", ".pdf")  # for the screen, and for print
# no dates: equal figures are equal files
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}
WRITERS = 4  # processes at most that write figures
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

FORMULA = r"$\mathdefault{"  # how matplotlib's own begin
LONGEST = 60  # characters of a name in a figure
# fonts for what the usual one lacks, as systems have them; those that are installed are used
FALLBACKS = (
    *(f"Noto Sans CJK {region}" for region in ("SC", "JP", "KR", "TC")),
    *("Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("IPAGothic", "TakaoGothic", "NanumGothic", "Baekmuk Gulim", "AR PL UMing CN"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Meiryo", "Malgun Gothic"),
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "STHeiti"),
    *("Arial Unicode MS", "Unifont", "Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Thai", "Nirmala UI", "Leelawadee UI"),
)
_SIGNS = re.compile(r"\\u\w{4}|\\U\w{8}|\\x\w{2}|\\\$|.", re.DOTALL)  # escapes are not parted
_installed = {font.name for font in fontManager.ttflist}

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "pdf.fonttype": 42,  # letters stay letters: to be searched, and edited for print
        "font.size": 10,
        "font.family": [
            *(name for name in plt.rcParams["font.family"] if name not in FALLBACKS),
            *(name for name in FALLBACKS if name in _installed),
        ],
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def legible(name: object, longest: int = LONGEST) -> str:
    """A user's name as a figure can show it, at most ``longest`` characters.

    Dollar signs stay what they are instead of beginning a formula, a long name loses its middle,
    and what cannot be seen or what no font has is an escape. A legible name stays as it is.

    >>> legible("pay$$day.png"), legible("a" * 30 + "b" * 30, longest=11)
    ('pay\\\\$\\\\$day.png', 'aaaaa…bbbbb')
    """
    text = _escaped(str(name))
    if len(text) <= longest:
        return text
    signs, half = _SIGNS.findall(text), (longest - 1) // 2
    return f"{''.join(_first(signs, half))}…{''.join(reversed(_first(signs[::-1], half)))}"


def _first(signs: list[str], longest: int) -> list[str]:
    """As many as are drawn with at most so many characters."""
    ends = accumulate(map(len, signs))
    return [sign for sign, end in zip(signs, ends, strict=True) if end <= longest]


def _escaped(text: str) -> str:
    """Text without formulas, and of characters that there are; its lines stay."""
    shown = "\n".join(map(printable, text.split("\n")))
    drawn = "".join(c if c == "\n" or _drawn(c) else _code(c) for c in shown)
    return re.sub(r"(?<!\\)\$", r"\\$", drawn)


@cache
def _drawn(character: str) -> bool:
    """Whether a font that figures use has a character."""
    return any(get_font(path).get_char_index(ord(character)) for path in _font_files())


@cache
def _font_files() -> list[str]:
    families = plt.rcParams["font.family"]
    return [fontManager.findfont(FontProperties(family=[name])) for name in families]


def _code(character: str) -> str:
    """As Unicode numbers it, in the form that programs take."""
    return character.encode("unicode_escape").decode("ascii")


def look(models: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour, dash and marker for each model; up to 32 are told apart with or without colour.

    Each eight models have all colours (and with them all markers) once; the next eight have the
    next dash with the same colour.
    """
    return {
        model: {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[(index + index // len(COLOURS)) % len(DASHES)],
            "marker": MARKERS[index % len(MARKERS)],
        }
        for index, model in enumerate(models)
    }


def grid(number: int, widest: int = 5) -> tuple[int, int]:
    """Rows and columns for ``number`` panels, as even as they can be with ``widest`` in a row."""
    rows = -(-number // widest)
    return rows, -(-number // rows)


def leave_empty(axes: np.ndarray, used: int) -> None:
    """Switch off the panels beyond the first ``used``, and label the ones above them instead."""
    columns = axes.shape[1]
    for index in range(used, axes.size):
        axes.flat[index].set_axis_off()
        axes.flat[index - columns].tick_params(labelbottom=True)


def panel(axis: Axes | None, width: float = 4.8, height: float = 4.4) -> Axes:
    """``axis`` itself, or the only one of a new figure of so many inches."""
    return plt.subplots(figsize=(width, height))[1] if axis is None else axis


def finished(axis: Axes, given: Axes | None) -> Axes:
    """``axis``, with a legend where it is of a new figure: none was ``given``."""
    if given is None:
        axis.legend(fontsize=9)
    return axis


def _clear_of_formulas(figure: Figure) -> None:
    """Make every text of a figure legible."""
    for text in figure.findobj(Text):
        said = text.get_text()
        if FORMULA not in said and (shown := _escaped(said)) != said:
            text.set_text(shown)
    for axis in figure.findobj(Axis):  # which set the texts at their ticks anew when they are drawn
        for formatter in (axis.get_major_formatter(), axis.get_minor_formatter()):
            if isinstance(formatter, FuncFormatter):  # as ``set_yticks`` makes of labels
                formatter.func = partial(_tick, formatter.func)


def _tick(text: Callable[[float, int | None], str], at: float, place: int | None) -> str:
    """The text of a tick, legible."""
    return _escaped(text(at, place))


def save(figure: Figure, path: str | Path) -> None:
    """Write and close. The suffix says the format; without one there is a PNG and a PDF.

    The files carry no date, so that equal figures are equal files. Texts are made legible as
    ``legible`` does, but for the formulas with which matplotlib numbers logarithmic axes.
    """
    path = Path(path)
    _clear_of_formulas(figure)
    for suffix in [path.suffix] if path.suffix else FORMATS:
        with whole(path.with_suffix(suffix)) as temporary:
            figure.savefig(temporary, metadata=METADATA.get(suffix))
        figure.set_layout_engine("none")  # what the first format was laid out like stays
    plt.close(figure)


def save_all(figures: Iterable[tuple[str, Figure]], folder: Path) -> None:
    """Write every figure under its name, as ``save`` does, on all cores.

    Figures are made here, one after the other, while processes write those that are made already.

    >>> save_all([("a.png", plt.figure())], Path("plots"))
    >>> [path.name for path in Path("plots").iterdir()]
    ['a.png']
    """
    workers = min(cpu_count(), WRITERS)
    if workers == 1:
        for name, figure in figures:
            save(figure, folder / name)
        return
    folder = folder.absolute()  # the processes may have started somewhere else
    # not loky's shared processes: joblib takes those for its own, and they lack what it adds
    with ProcessPoolExecutor(max_workers=workers) as writers:
        jobs = []
        for name, figure in figures:
            jobs.append(writers.submit(save, figure, folder / name))
            plt.close(figure)
        for job in jobs:
            job.result()
