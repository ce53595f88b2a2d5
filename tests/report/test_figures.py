# SPDX-License-Identifier: Apache-2.0
"""Figures of simulated models: what is drawn where, and that equal figures are equal files."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from support import ROOT

from facetell.common.figure_style import BANDED, CLASS_COLOURS, TALLEST, look, plt, save
from facetell.curves import RocCurve, ScoreHistogram, curves_of
from facetell.evaluation.frequency_sensitivity import sensitivity
from facetell.evaluation.predictions import CONTROL
from facetell.metrics.intervals import Resamples
from facetell.report.figures import curves as errors
from facetell.report.figures import learning as learned
from facetell.report.figures import robustness as broken
from facetell.report.figures import scores as scored
from facetell.report.figures.frequency_sensitivity import frequency_sensitivity

SUITE = [  # variant, perturbation, level, neutral, probe
    ("clean", None, None, None, False),
    ("flip", "flip", None, None, False),
    *((f"blur_{k}", "blur", k, 0, False) for k in (1, 2, 4)),
    *((f"jpeg_{k}", "jpeg", k, 100, False) for k in (75, 50)),
    *((f"launder_{k}", "launder", k, None, False) for k in ("a", "b")),
    *((f"band_stop_{k}", "band_stop", k, None, True) for k in range(4)),
    ("low_pass_0.5", "low_pass", 0.5, None, True),
    (CONTROL, None, None, None, False),
]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def table(models: int) -> pd.DataFrame:
    """As ``facetell.evaluation.robustness.robustness`` gives it; numbers that are easy to tell
    apart."""
    rows = []
    for model in range(models):
        for place, (variant, name, level, neutral, probe) in enumerate(SUITE):
            row = {"model": f"m{model}", "variant": variant, "perturbation": name}
            row |= {"level": level, "label": f"{name} (unit)", "neutral": neutral, "probe": probe}
            values = {"accuracy": 0.9 - 0.02 * place, "auc": 0.95 - 0.02 * place}
            values |= {f"drop_{n}": 0.02 * place for n in ("accuracy", "auc", "accuracy_real")}
            values |= {"drop_accuracy_fake": 0.04 * place, "accuracy_change_pct": -place}
            values |= {"fake_to_real": 0.03 * place, "real_to_fake": 0.01 * place}
            for key, value in values.items():
                row |= {key: value, f"{key}_low": value - 0.01, f"{key}_high": value + 0.01}
            rows.append(row)
    return pd.DataFrame(rows).astype({"neutral": float})


def found(models: int):
    random = np.random.default_rng(0)
    labels = np.arange(120) % 2
    margins = {f"m{k}": labels * (1 + k) + random.normal(size=120) for k in range(models)}
    same = dict.fromkeys(margins, 0.5)
    draws = Resamples(np.arange(120), resamples=3)
    return curves_of(labels, margins, same, dict.fromkeys(margins, 2.0), draws)


def test_fifteen_models_are_told_apart_with_and_without_colour():
    styles = look(map(str, range(15))).values()
    for keys in (("color", "linestyle"), ("linestyle", "marker")):
        assert len({tuple(style[key] for key in keys) for style in styles}) == 15


def test_one_curve_is_drawn_into_an_axis_of_ones_own():
    labels, margins = [0, 1, 0, 1, 0], [-1.0, 0.5, 0.2, 2.0, 1.0]
    curve = RocCurve.from_predictions(labels, margins, threshold=0.4, name="mine")
    _, own = plt.subplots()
    assert curve.plot(own, color="red", label="theirs") is own
    line, mark = own.lines
    assert (line.get_color(), line.get_label()) == ("red", "theirs")
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([curve.fpr, curve.tpr]))
    assert tuple(mark.get_xydata()[0]) == tuple(curve.point)
    other = curve.plot()
    assert other is not own
    assert [text.get_text() for text in other.get_legend().texts] == ["mine, AUC 0.833"]
    assert own.get_legend() is None
    assert curve.plot(log=True).get_xscale() == "log"


def test_a_straight_piece_bends_on_a_logarithmic_axis():
    constant = RocCurve.from_predictions([0, 1], [0.0, 0.0])
    x, y = constant.plot(log=True).lines[0].get_xydata().T
    assert len(x) > 100
    np.testing.assert_allclose(x[x > x.min()], y[x > x.min()])


@pytest.mark.parametrize("models", [1, 4, 15])
def test_error_curves_have_a_line_a_mark_and_few_bands_per_model(models):
    curves = found(models)
    for figure, panels in (
        (errors.roc(curves.roc), 4),
        (errors.det(curves.det), 1),
        (errors.precision_recall(curves.pr), 2),
    ):
        assert len(figure.axes) == panels
        for axis in figure.axes:
            named = [line for line in axis.lines if line.get_label().startswith("m")]
            marks = [line for line in axis.lines if len(line.get_xdata()) == 1]
            assert len(named) == len(marks) == models
            assert len(axis.collections) == (models if models <= BANDED else 0)
        words = " ".join(text.get_text() for text in figure.legends[0].texts)
        assert all(f"m{k}, " in words for k in range(models))


@pytest.mark.parametrize("models", [1, 4, 15])
def test_scores_and_reliability_have_a_panel_per_model(models):
    curves = found(models)
    figure = scored.histograms(curves.histograms)
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == [f"m{k}" for k in range(models)]
    assert [line.get_xdata()[0] for line in shown[0].lines] == [0.5]  # the threshold
    figure = scored.reliability(curves.before, curves.after, dict.fromkeys(curves.before, 2.0))
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 2 * models
    assert shown[0].get_title() == "m0, T = 2.00"
    said = [text.get_text() for text in shown[0].get_legend().texts]
    assert said == [f"ECE {part['m0'].ece:.3f}" for part in (curves.before, curves.after)]
    handles = shown[0].get_legend().get_lines()
    assert [to_hex(line.get_color()).upper() for line in handles] == [scored.BEFORE, scored.AFTER]


def test_histogram_has_the_colours_of_the_classes():
    axis = ScoreHistogram.from_predictions([0, 1, 1], [-1.0, 0.0, 2.0]).plot()
    drawn = {patch.get_label(): to_hex(patch.get_edgecolor()).upper() for patch in axis.patches}
    assert drawn == CLASS_COLOURS


@pytest.mark.parametrize("models", [1, 4, 15])
@pytest.mark.parametrize("number", broken.NUMBERS)
def test_a_panel_over_the_levels_of_each_perturbation_with_several(models, number):
    rows = table(models)
    figure = broken.levels(rows, number)
    blur, jpeg, points = figure.axes
    line = blur.lines[0]
    assert line.get_xdata().tolist() == [0, 1, 2, 4]  # clean at the neutral level
    value = rows.set_index("variant")[number].groupby("variant").first()
    expected = [value[name] for name in ("clean", "blur_1", "blur_2", "blur_4")]
    assert line.get_ydata().tolist() == expected
    assert jpeg.get_xlim()[0] > jpeg.get_xlim()[1]  # what does nothing stands on the left
    names = [label.get_text() for label in points.get_xticklabels()]
    assert names == ["clean", "flip", "launder_a", "launder_b"]
    assert blur.get_xlabel() == "blur (unit)"


@pytest.mark.parametrize("kind", ["blur", "flip"])
def test_a_suite_of_one_perturbation_has_one_panel_and_a_legend(kind):
    rows = table(2)
    figure = broken.levels(rows[rows["perturbation"].isin([kind, None])], "auc")
    assert len(figure.axes) == 1
    assert [text.get_text() for text in figure.legends[0].texts] == ["m0", "m1"]


def test_drops_and_flips_stand_at_their_values():
    rows = table(2)
    for figure in (broken.drops(rows), broken.flips(rows)):
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert names == [name for name, _, _, _, probe in SUITE[1:-1] if not probe]
    bars = broken.flips(rows).axes[0].containers
    turned = {bar.get_label(): bar.patches for bar in bars if hasattr(bar, "patches")}
    assert turned["from fake to real"][1].get_width() == pytest.approx(0.06)
    assert turned["from real to fake"][1].get_width() == pytest.approx(-0.02)
    marks = broken.drops(rows).axes[0].containers
    assert [mark.get_label() for mark in marks] == ["AUC", "TPR", "TNR"]
    assert [mark[0].get_xdata()[1] for mark in marks] == pytest.approx([0.04, 0.08, 0.04])


def test_many_variants_of_many_models_are_the_hardest_ones_and_fit_a_page():
    rows = table(15)
    more = [rows[rows["variant"] == "blur_1"].assign(variant=f"blur_{k}") for k in range(10, 60)]
    figure = broken.drops(pd.concat([rows, *more]))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["flip", "blur_4", "jpeg_50", "launder_b"]
    assert figure.get_figheight() < TALLEST + 2
    assert "the level that costs most AUC" in figure.get_supxlabel()


@pytest.mark.parametrize("models", [1, 4, 15])
def test_frequencies_are_steps_at_the_edges_of_the_bands(models):
    bands = sensitivity(table(models))
    figure = frequency_sensitivity(bands)
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == models
    step = next(patch for patch in shown[0].patches if patch.get_label().startswith("AUC"))
    values, edges, _ = step.get_data()
    np.testing.assert_allclose(edges, [0, 0.125, 0.25, 0.375, 0.5])
    expected = bands[(bands["model"] == "m0") & (bands["filter"] == "band_stop")]["auc"]
    np.testing.assert_allclose(values, expected)


def test_learning_curves_have_two_panels_per_model_and_mark_the_kept_epoch():
    models, epoch = [f"m{k}" for k in range(7)], np.arange(1, 4)
    columns = {"epoch": epoch}
    for split in ("train", "valid", "test"):
        columns |= {f"{split}_loss": 1 / epoch, f"{split}_accuracy": 0.2 * epoch}
    log = pd.concat([pd.DataFrame({"model": model} | columns) for model in models])
    log.loc[log["epoch"] == 1, "valid_loss"] = 50.0
    figure = learned.learning(log, dict.fromkeys(models, 2))
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 14
    for axis in shown:
        *curves, mark = axis.lines
        assert [curve.get_label() for curve in curves] == ["training", "validation", "test"]
        assert mark.get_xdata().tolist() == [2]
        assert axis.get_ylim()[1] <= learned.HIGHEST_LOSS


def test_a_suffix_is_one_file_and_none_is_both(tmp_path):
    save(plt.subplots()[0], tmp_path / "one.png")
    save(plt.subplots()[0], tmp_path / "both")
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "both.png", "both.pdf"}


DRAW = """
import sys
from facetell.curves import RocCurve
from facetell.common.figure_style import save
curve = RocCurve.from_predictions([0, 1, 0, 1], [0., 1., 2., 3.], threshold=1, groups=list("abcd"))
save(curve.plot().figure, sys.argv[1])
"""


def test_equal_figures_are_equal_files_whenever_they_are_drawn(tmp_path):
    for run, day in (("1", "1000000000"), ("2", "1500000000")):
        env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": run}
        command = [sys.executable, "-c", DRAW, str(tmp_path / run)]
        subprocess.run(command, env=env | {"SOURCE_DATE_EPOCH": day}, check=True)
    for suffix in ("pdf", "png"):
        first, second = ((tmp_path / f"{run}.{suffix}").read_bytes() for run in "12")
        assert len(first) > 5000
        assert first == second
