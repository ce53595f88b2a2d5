# SPDX-License-Identifier: Apache-2.0
"""Figures of explanations made of arrays: what is drawn, on which scale, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from support.boards import enter

from facetell.common.figure_style import TALLEST, plt, save
from facetell.explain.activation.channels import Channels
from facetell.explain.activation.maximise import Ascent, Channel, Maximised
from facetell.explain.survey.class_means import ClassMeans, Labellings
from facetell.explain.survey.examples import Example
from facetell.explain.survey.regions import RegionShares
from facetell.explain.trust.choice import Choice
from facetell.explain.trust.leaderboard import Leaderboard
from facetell.explain.trust.planted import baselines
from facetell.explain.trust.verdict import Verdict, judge
from facetell.report.figures.activations import activations, maximised
from facetell.report.figures.class_means import Means, class_means, significant
from facetell.report.figures.layers import every_layer, wrapped
from facetell.report.figures.leaderboard import (
    GUESSED,
    NOTHING,
    RESTRICTED,
    agreement,
    leaderboard,
)
from facetell.report.figures.maps import DIVERGING, draw_map, probability, scale_of
from facetell.report.figures.regions import regions, regions_of_models
from facetell.report.figures.sheets import gradcam_pairs, methods_side_by_side, saliency_pairs

SIZE = 16
METHODS = {"gradcam": "Grad-CAM", "guided_backprop": "guided backpropagation", "eigencam": "E-CAM"}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def example(name="one", label=1, margin=2.0, layers=("a", "b"), factor=1.0, status="ok") -> Example:
    """A map of -1 to 1 times ``factor`` at each layer; ``status`` is that of the last layer."""
    ramp = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4) * factor
    at = {layer: ramp * (k + 1) for k, layer in enumerate(layers)}
    said = dict.fromkeys(layers, "ok") | {layers[-1]: status}
    wide = {"input": np.full((SIZE, SIZE), factor, dtype=np.float32)}
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[4:8, 4:8] = True
    return Example(
        name=name,
        image=np.full((SIZE, SIZE, 3), 200, dtype=np.uint8),
        label=label,
        margin=margin,
        threshold=0.5,
        saliency=np.abs(np.arange(SIZE**2, dtype=np.float32).reshape(SIZE, SIZE)) * factor,
        maps={"gradcam": at, "guided_backprop": wide, "eigencam": at},
        status={"gradcam": said, "guided_backprop": {"input": "ok"}, "eigencam": said},
        titles=METHODS,
        mask=mask if label else None,
    )


GROUPS = [example("f", 1, 2), example("m", 1, -2), example("p", 0, -2), example("w", 0, 0.6)]


def words(figure: Figure) -> str:
    """Every text of a figure."""
    texts = figure.findobj(match=Text)
    return " ".join(" ".join(text.get_text() for text in texts).split())


def cells(figure: Figure, title: str):
    """The axes in or above which a title stands."""
    return [axis for axis in figure.axes if " ".join(axis.get_title().split()) == title]


def all_axes(figure: Figure):
    return figure.get_axes()


def tinted(axis) -> np.ndarray:
    """What the only picture of an axis shows."""
    return np.asarray(axis.images[0].get_array())


def hatched(axis) -> bool:
    return axis.patch.get_hatch() is not None and not axis.images


def test_pairs_have_a_row_per_group_and_outline_what_was_planted():
    figure = saliency_pairs([*GROUPS, example("f2", 1, 3)], "Saliency")
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == 2 * 5
    labels = [axis.get_ylabel().replace("\n", " ") for axis in shown if axis.get_ylabel()]
    assert labels == ["fake, found", "fake, missed", "real, passed", "real, accused"]
    outlined = [bool(axis.collections) for axis in shown]
    assert outlined == [True] * 6 + [False] * 4
    assert "not comparable between images" in words(figure)
    assert "P(fake) 0.88" in words(figure)


def test_groups_without_images_have_no_row_and_unlabelled_photos_go_by_verdict():
    unknown = Example(**{**vars(GROUPS[0]), "label": None})
    assert len(saliency_pairs([unknown], "t").axes) == 2
    assert saliency_pairs([unknown], "t").axes[0].get_ylabel() == "fake"


def test_gradcam_pairs_share_one_scale():
    weak, strong = example("weak", factor=0.1), example("strong", factor=1.0)
    figure = gradcam_pairs([weak, strong], "gradcam", "a", "Grad-CAM")
    left, right = tinted(figure.axes[1]), tinted(figure.axes[3])
    assert left.std() < right.std() / 3
    alone = gradcam_pairs([weak], "gradcam", "a", "Grad-CAM")
    assert tinted(alone.axes[1]).std() > 3 * left.std()  # on its own: as strong
    assert "one scale for all images" in words(figure)
    bar = next(axis for axis in figure.axes if "Grad-CAM at a" in axis.get_ylabel())
    assert bar.get_ylim()[0] == -bar.get_ylim()[1]


def test_what_is_not_to_be_believed_is_hatched_and_says_why():
    figure = gradcam_pairs([example(status="gradient zero")], "gradcam", "b", "t")
    assert hatched(figure.axes[1])
    assert "gradient zero" in words(figure)
    figure = every_layer([example(status="not finite")], "gradcam", "t")
    assert hatched(cells(figure, "b")[0])
    assert not hatched(cells(figure, "a")[0])
    axis = plt.subplots()[1]
    draw_map(axis, example(), "scorecam", "a", scale_of([], True))
    assert hatched(axis)
    assert "not defined" in axis.texts[0].get_text()
    blank = Example(**{**vars(GROUPS[0]), "saliency": np.zeros((SIZE, SIZE))})
    assert hatched(saliency_pairs([blank], "t").axes[1])


def test_bad_maps_do_not_stretch_the_scale_of_the_others():
    bad = example(factor=1e6, layers=("a",), status="not finite")
    both = gradcam_pairs([example(), bad], "gradcam", "a", "t")
    alone = gradcam_pairs([example()], "gradcam", "a", "t")
    np.testing.assert_array_equal(tinted(both.axes[1]), tinted(alone.axes[1]))


def test_every_layer_has_a_column_each_and_a_column_has_one_scale():
    rows = [example("clean"), example("blur 1 px", margin=-3.0, factor=0.1)]
    figure = every_layer(rows, "gradcam", "Every layer")
    for name in ("a", "b", "saliency"):
        assert len(cells(figure, name)) == 1
    pictures = [axis for axis in figure.axes if axis.images]
    assert len(pictures) == 2 * (1 + 3)
    clean, blurred = tinted(pictures[1]), tinted(pictures[5])
    assert blurred.std() < clean.std() / 3
    assert [text.get_text() for text in pictures[5].texts] == ["10%"]
    assert not pictures[1].texts
    text = words(figure)
    assert "clean fake, found P(fake) 0.88" in text
    assert "blur 1 px fake, missed P(fake) 0.05" in text
    assert "comparable down a column" in text
    own = every_layer(rows, "gradcam", "Every layer", one_scale=False)
    pictures = [axis for axis in own.axes if axis.images]
    np.testing.assert_allclose(tinted(pictures[1]), tinted(pictures[5]), atol=0.01)
    assert "compare places, not colours" in words(own)


@pytest.mark.parametrize(("layers", "rows"), [(1, 1), (20, 3), (36, 3), (120, 3)])
def test_many_layers_are_wrapped_and_fit_a_page(layers, rows):
    names = tuple(f"stages.{k}" for k in range(layers))
    figure = every_layer([example(f"r{k}", layers=names) for k in range(rows)], "gradcam", "t")
    assert figure.get_figheight() <= TALLEST
    titles = [axis.get_title().replace("\n", "") for axis in figure.axes if axis.get_title()]
    assert titles[0] == "stages.0"
    assert titles[-2:] == [f"stages.{layers - 1}", "saliency"]
    left_out = len(titles) - 1 < layers
    assert left_out == (layers == 120)
    assert (f"{len(titles) - 1} of {layers} layers" in words(figure)) == left_out


def test_long_names_are_broken_at_dots():
    assert wrapped("layers.0.blocks.1.norm1", 12) == "layers.0.\nblocks.1.\nnorm1"
    assert wrapped("conv1", 3) == "conv1"


def test_methods_are_titled_in_words_and_guided_ones_with_their_failure():
    figure = methods_side_by_side([example()], "a", "Methods")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[1:5] == ["saliency", "Grad-CAM", "guided\nbackpropagation*", "E-CAM"]
    assert "fail the weight-randomisation check" in words(figure)
    assert "Each map on its own scale" in words(figure)
    signed, magnitude = cells(figure, "Grad-CAM")[0], cells(figure, "E-CAM")[0]
    assert tinted(signed).ndim == 3  # tinted onto the image
    assert magnitude.images[0].get_cmap().name != DIVERGING
    without = Example(**{**vars(GROUPS[0]), "maps": {"gradcam": GROUPS[0].maps["gradcam"]}})
    assert "randomisation" not in words(methods_side_by_side([without], "a", "Methods"))


def test_probabilities_do_not_claim_certainty():
    assert probability(0.9999) == "P(fake) > 0.99"
    assert probability(1e-6) == "P(fake) < 0.01"
    assert probability(0.345) == "P(fake) 0.34"


def means(shift: float) -> ClassMeans:
    """Noise of 60 persons, with more in the upper left cell of fakes."""
    random, labels = np.random.default_rng(0), np.arange(60) % 2
    maps = random.normal(size=(60, 8, 8))
    maps[labels == 1, :2, :2] += shift
    found = ClassMeans(Labellings(labels, range(60), permutations=99, seed=0), grid=4)
    found.add(maps, range(60))
    return found


def test_significant_cells_are_outlined_and_p_is_stated():
    entries = [Means.of("shifted", means(3), signed=True), Means.of("noise", means(0), signed=True)]
    np.testing.assert_allclose(
        sorted(map(tuple, significant(entries[0].difference).reshape(-1, 4))),
        sorted([(0, 0, 0.25, 0), (0, 0.25, 0.25, 0.25), (0, 0, 0, 0.25), (0.25, 0, 0.25, 0.25)]),
    )
    figure = class_means(entries, "Means")
    panels = [axis for axis in figure.axes if axis.images]
    assert len(panels) == 6
    outlines = [[c for c in axis.collections if isinstance(c, LineCollection)] for axis in panels]
    assert [len(lines[0].get_segments()) if lines else 0 for lines in outlines] == [
        0,
        0,
        4,
        0,
        0,
        0,
    ]
    assert "1 of 16 cells differ p <= 0.010" in " ".join(panels[2].get_title().split())
    assert "0 of 16" in panels[5].get_title()
    real, fake = (panel.images[0].norm for panel in panels[:2])
    assert (real.vmin, real.vmax) == (fake.vmin, fake.vmax)
    assert "mean of real (n = 30)" in words(figure)


def test_an_untested_difference_claims_nothing():
    zero = np.zeros((8, 8))
    figure = class_means([Means("saliency", zero, zero + 1, 3, 4)], "Means")
    assert "not tested" in words(figure)
    assert "cells differ" not in words(figure)


def region_table() -> pd.DataFrame:
    found = RegionShares(64, "demo", resamples=50, seed=0)
    random = np.random.default_rng(0)
    maps = {"saliency": {"input": random.random((12, 64, 64))}}
    found.add(maps, ["real", "fake"] * 6, list(range(12)))
    return found.table()


def test_regions_are_ratios_at_their_place():
    table = region_table()
    figure = regions(table, "What it looks at")
    axis = figure.axes[0]
    labels = [label.get_text().split(" (")[0] for label in axis.get_yticklabels()]
    fakes = table[table["class"] == "fake"].set_index("region")
    assert labels == list(fakes["ratio"].sort_values(ascending=False).index)
    marks = {bar.get_label(): bar for bar in axis.containers}
    assert set(marks) == {"real (n = 6)", "fake (n = 6)"}
    np.testing.assert_allclose(marks["fake (n = 6)"][0].get_xdata(), fakes.loc[labels, "ratio"])
    shown = regions_of_models({"m1": table, "m2": table}, "Models")
    assert len(shown.axes[0].texts) == 2 * 8
    assert shown.axes[0].images[0].get_array().shape == (2, 8)


PASSED = {"accuracy_with": 0.97, "accuracy_without": 0.5, "passed": True}
SCOPES = {  # of the models in turn: fakes, those that pass, and whether all do well enough
    "general": (12, 12, True),
    "restricted": (40, 12, False),
    "none": (40, 3, False),
}


def verdicts(*scopes: str) -> dict[str, Verdict]:
    """Fakes with one artefact each: a map that is the mask, one that is noise, one undefined."""
    random, found = np.random.default_rng(0), {}
    masks = np.zeros((12, SIZE, SIZE), dtype=bool)
    for row, mask in enumerate(masks):
        y, x = divmod(row, 4)
        mask[4 * y : 4 * y + 3, 4 * x : 4 * x + 3] = True
    names = list(range(12))
    for model, scope in enumerate(scopes):
        board = Leaderboard(masks, names, others=4, resamples=200, seed=0)
        known = masks, names, names
        noise = random.random((12, SIZE, SIZE))
        maps = {"gradcam": {"a": noise, "b": masks.astype(float)}, "eigencam": {"a": noise},
                "saliency": {"input": noise}}  # fmt: skip
        enter(board, maps, *known, source="trained", fakes="single")
        enter(
            board, {"gradcam": {"a": noise, "b": noise}}, *known, source="untrained", fakes="single"
        )
        blind = baselines(random.random((12, 3, SIZE, SIZE)), names, seed=0)
        alone = {name: {"input": map_} for name, map_ in blind.items()}
        enter(board, alone, *known, source="baseline", fakes="single")
        fakes, passed, gate = SCOPES[scope]
        found[f"m{model}"] = judge(
            board.table(),
            "single",
            fakes=fakes,
            passed=passed,
            gate=PASSED | {"passed": gate},
            titles={"gradcam": "Grad-CAM (another rule)"} if scope == "restricted" else {},
            choice=Choice("several", 60, 30, 30, "gradcam", "b", 0.9, 0.8, 1.0),
        )
    return found


@pytest.mark.parametrize("models", [1, 4, 15])
def test_the_leaderboard_colours_only_what_is_believed(models):
    figure = leaderboard(verdicts(*["general"] * models), "Leaderboard")
    summary, *panels = [axis for axis in figure.axes if axis.axison]
    heats = [axis for axis in panels if "maps" in axis.get_title()]
    assert len(heats) == models
    plain = {to_rgba(GUESSED), to_rgba(NOTHING), (0.0, 0.0, 0.0, 0.0)}
    for axis in heats:
        cells_ = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        filled = [patch for patch in cells_ if patch.get_facecolor()[3] == 1]
        assert len(filled) == 4  # eigencam at b lies open
        assert len({patch.get_facecolor() for patch in filled} - plain) == 1
        assert not any(patch.get_hatch() for patch in cells_)
        assert axis.get_title().endswith("1 of 4 maps\nbelieved on all 12 fakes")
    said = [text.get_text() for text in summary.texts]
    assert said[0] == "1.00 Grad-CAM at b\nbelieved on all 12 fakes"
    text = words(figure)
    for level in ("chance (area)", "random map", "centre prior", "edge map", "untrained"):
        assert level in text
    assert "n = 12 fakes" in text
    assert "Hatched (" not in text


def test_restricted_belief_is_marked_and_said():
    figure = leaderboard(verdicts("general", "restricted", "none"), "Leaderboard")
    summary, *panels = [axis for axis in figure.axes if axis.axison]
    general, restricted = [axis for axis in panels if "maps" in axis.get_title()]
    hatches = [
        [patch.get_hatch() for patch in axis.patches if patch.get_hatch()]
        for axis in (general, restricted)
    ]
    assert hatches == [[], [RESTRICTED]]
    assert [text.get_text() for text in summary.texts] == [
        "1.00 Grad-CAM at b\nbelieved on all 12 fakes",
        "1.00 Grad-CAM at b\nbelieved on 12 of 40 fakes only",
    ]
    assert restricted.get_title() == "m1: 1 of 4 maps\nbelieved on 12 of 40 fakes only"
    markers = [bar[0].get_marker() for bar in summary.containers]
    assert markers == ["o", "D"]
    text = words(figure)
    assert "believed only on the fakes that pass the gate" in text
    assert "Hatched (m1)" in text
    assert "Grad-CAM of m1 is Grad-CAM (another rule)." in text
    assert "Fewer than 8 fakes pass, so nothing is said: m2 (3 of 40)." in text


def channels(layer: str, low: float) -> Channels:
    maps = np.linspace(low, 1, 32, dtype=np.float32).reshape(1, 2, 4, 4)
    return Channels(layer, maps, np.array([[17, 3]]), np.array([[0.4, 0.25]]))


def test_activations_name_layer_channel_and_share():
    layers = [channels("stages.0", 0), channels("norm", -1)]
    figure = activations([(GROUPS[0], layers), (GROUPS[2], layers)], "Channels")
    text = words(figure)
    assert "ch. 17: 40.0%" in text
    assert "ch. 3: 25.0%" in text
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["stages.0", "norm"] * 2
    assert "fake, found P(fake) 0.88" in text
    pictures = [axis for axis in figure.axes if axis.images]
    assert len(pictures) == 2 * (1 + 2 * 2)
    assert tinted(pictures[1]).ndim == 2  # a magnitude
    assert tinted(pictures[3]).ndim == 3  # with values below 0, tinted onto the image
    tall = [channels(f"stages.{k}", 0) for k in range(8)]
    assert activations([(one, tall) for one in GROUPS[:2]], "t").get_figheight() <= TALLEST


def test_maximised_images_state_what_they_raise():
    targets = {"fake": "fake", "real": "real", "channel 5 of norm": Channel("norm", 5)}
    images = np.random.default_rng(0).random((3, 3, SIZE, SIZE), dtype=np.float32)
    found = Maximised(images, images[0], np.array([-1.0, 1.0, 0.1]), np.array([3.0, 4.0, 0.7]))
    figure = maximised(found, targets, Ascent(steps=9), 5, "t")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["start", "fake\n-1.00 to 3.00", "real\n-1.00 to -4.00",
                      "channel 5 of norm\n0.10 to 0.70"]  # fmt: skip
    assert "9 steps" in words(figure)
    assert "seed 5" in words(figure)
    np.testing.assert_array_equal(tinted(figure.axes[2]), images[1].transpose(1, 2, 0))


def test_agreement_has_a_mark_per_model_and_measure_and_names_the_undefined():
    rows = [
        {"model": m, "measure": k, "tau": t, "low": t - 0.1, "high": t + 0.1, "maps": 9, "n": 20}
        for m, k, t in [("m1", "deletion", 0.5), ("m1", "road", -0.2), ("m2", "deletion", 0.1)]
    ]
    rows.append({**rows[0], "model": "m2", "measure": "road", "tau": np.nan})
    axis = agreement(pd.DataFrame(rows), "Agreement").axes[0]
    assert [bar.get_label() for bar in axis.containers] == ["m1", "m2"]
    np.testing.assert_allclose(axis.containers[0][0].get_xdata(), [0.5, -0.2])
    assert [text.get_text() for text in axis.texts] == ["m2: undefined"]


def test_equal_examples_are_equal_files(tmp_path):
    for run in "ab":
        save(every_layer([example(), example(factor=0.5)], "gradcam", "t"), tmp_path / run)
        save(methods_side_by_side([example()], "a", "t"), tmp_path / f"{run}_methods.png")
    for name in (".png", ".pdf", "_methods.png"):
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()
