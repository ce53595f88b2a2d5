# SPDX-License-Identifier: Apache-2.0
"""Names of users in figures: no formula, no empty box, no title as wide as three pages."""

import re

import numpy as np
import pytest
from PIL import Image

import facetell.common.figure_style as style
from facetell.common.figure_style import legible, plt, save, save_all
from facetell.common.parallel import in_processes

NAMES = [
    "pay$$day.png",
    r"$\frac{1}$",
    r"a\$b$",
    "日本語の写真.jpg",
    "long" * 60,
    "\U0001f600" * 80,
    "gr\udcfc\udcdfe",
    "a\nb\x1b[31m",
    "",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.filterwarnings("error")  # matplotlib warns of a glyph that no font has
def test_every_name_is_drawn(name, tmp_path):
    for shown in (name[:20], legible(name, 40)):  # save sees to what was forgotten
        figure, axis = plt.subplots()
        axis.plot([1, 10], [1, 2], label=shown or "none")
        axis.set(title=shown, xlabel=shown, xscale="log")
        axis.set_yticks([1, 2], [shown, "b"])
        axis.legend()
        for suffix in (".png", ".pdf", ".svg"):
            save(figure, tmp_path / f"a{suffix}")
        figure.canvas.draw()
        assert np.asarray(Image.open(tmp_path / "a.png")).std() > 0
        # numbers of a logarithmic axis stay formulas
        assert any(style.FORMULA in label.get_text() for label in axis.get_xticklabels())
        plt.close(figure)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_legible_name_is_short_and_stays(name):
    shown = legible(name, longest=24)
    assert len(shown) <= 24
    assert legible(shown, longest=24) == shown
    assert not re.search(r"(?<!\\)\$", shown)


def test_a_long_name_keeps_its_ends_and_escapes_are_not_parted(monkeypatch):
    assert legible("first" + "x" * 200 + "last.png", 21) == "firstxxxxx…xxlast.png"
    monkeypatch.setattr(style, "_drawn", str.isascii)
    assert legible("日" * 100, 21) == r"\u65e5…\u65e5"


def test_a_font_that_has_the_characters_is_used(monkeypatch):
    monkeypatch.setattr(style, "_drawn", lambda character: True)
    assert legible("日本語") == "日本語"


def test_figures_that_processes_write_leave_other_work_by_processes_alone(tmp_path, monkeypatch):
    """In a notebook, say: a table read by joblib's processes after figures, and before."""
    monkeypatch.setattr(style, "cpu_count", lambda: 2)
    for count in (1, 2):
        save_all(((f"{name}.png", plt.figure()) for name in "ab"[:count]), tmp_path)
        assert list(in_processes(abs, [-1, -2], workers=2)) == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
