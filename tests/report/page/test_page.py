# SPDX-License-Identifier: Apache-2.0
"""The page of the report as text: what it answers, what it leaves out, and that names stay text."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import vl_convert
from support.page_inputs import MISTAKEN, NUMBER, page_inputs
from support.results import explained

from facetell.evaluation.model_scores import margins_of
from facetell.report.page.browser import STEP, browser, shown
from facetell.report.page.charts import charts, specification
from facetell.report.page.claims import claims
from facetell.report.page.cross import cross_tables
from facetell.report.page.render import VEGA_LITE, Grid, cell, report_page, words

HOSTILE = '</script><img src=x onerror="document.title=1"><!--`**'


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._inside = "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def said(found) -> str:
    return "\n".join(one.text for claim in claims(found) for one in claim.answer)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return page_inputs(tmp_path_factory.mktemp("page"), explained=explained())


@pytest.fixture(scope="module")
def page(inputs) -> str:
    return report_page(inputs)


def test_the_first_screen_answers_what_is_asked_first(inputs):
    answer = said(inputs)
    best = inputs.best
    clean = inputs.scores[best]["clean"]
    low, high = clean["interval"]["auc"]
    assert f"**`{best}`** ranks best: AUC **{clean['auc']:.3f} [{low:.3f}, {high:.3f}]**" in answer
    assert "surely better" in answer
    worst = inputs.scores[best]["robustness"]["worst"]
    assert f"**`{worst}`**" in answer
    assert "The hardest generator is **`" in answer
    assert "The hardest platform is `" in answer
    assert "Believe **Grad-CAM at `conv1`** (chosen on validation fakes, " in answer
    assert "it finds 0.80 [0.75, 0.85]" in answer
    assert "on all fakes with a single artefact" in answer
    assert "looks most at the nose (2.0 times by saliency)" in answer
    assert "**rendered, not photos**" in answer
    assert "**Shortcut**: JPEG quality alone" in answer
    assert "No leak: no face is on two sides" in answer
    assert "No file was set aside" in answer
    assert "Calibration **" in answer
    assert "The most confident mistake of" in answer


def test_the_paired_tests_decide_what_is_better_for_sure(inputs, tmp_path):
    pairs = inputs.pairs.copy()
    rivals = set(inputs.scores) - {inputs.best}
    pairs["delong_holm"] = 0.5
    unsure = said(page_inputs(tmp_path / "a", pairs=pairs))
    assert "surely better in AUC than" not in unsure
    assert all(f"`{rival}`" in unsure.partition("not surely better")[2] for rival in rivals)
    pairs["delong_holm"] = 0.001
    ours = (pairs["a"] == inputs.best).map({True: 1, False: -1}) * 0.1
    pairs["auc_difference"] = ours
    sure = said(page_inputs(tmp_path / "b", pairs=pairs))
    assert "It is surely better in AUC than" in sure
    assert "not surely better" not in sure
    pairs["auc_difference"] = -ours  # a rival is better, and surely so
    assert "surely better in AUC than" not in said(page_inputs(tmp_path / "c", pairs=pairs))


def test_warnings_are_on_the_first_screen(inputs, tmp_path):
    data = inputs.data | {
        "warnings": ["9 images are listed, but are not there"],
        "set_aside": {"count": 3, "reasons": {"too small": 2, "empty file": 1}},
        "rendered": {"images": 0, "of": 9, "sets": []},
        "audit": inputs.data["audit"] | {"warnings": []},
    }
    answer = said(page_inputs(tmp_path, data=data, files={"leaks": 2}))
    assert "**Leak**: 2 pairs of images across splits" in answer
    assert "3 files cannot be used: 2 too small, 1 empty file." in answer
    assert "9 images are listed, but are not there." in answer
    assert "No shortcut" in answer
    assert "not photos" not in answer


def test_the_most_confident_mistake_is_that_of_the_predictions(inputs):
    model = "simplenet"
    stored = inputs.predictions[model]
    margins = margins_of(stored, inputs.test, "clean")
    labels = inputs.test["label"].to_numpy()
    wrong = (margins >= stored.threshold) != (labels == 1)
    assert wrong[MISTAKEN]
    assert np.argmax(np.where(wrong, np.abs(margins), 0)) == MISTAKEN
    only = page_inputs(inputs.packed.path.parent / "one", models=[model])
    assert f"mistake of `{model}` is `demo/{MISTAKEN}`: a fake" in said(only)
    links = [one.anchor for claim in claims(only) for one in claim.answer]
    assert f"browse?model={model}&image=demo%2F{MISTAKEN}" in links


def test_every_sentence_leads_to_its_evidence(inputs, page):
    found = Elements(page)
    anchors = {attributes["id"] for _, attributes in found.found if "id" in attributes}
    links = [a["href"] for a in found.named("a")]
    assert len(links) > 20
    for link in links:
        assert link.startswith("#")
        assert link.removeprefix("#").partition("?")[0] in anchors | {"browse"}, link


def test_nothing_comes_from_elsewhere_and_every_picture_has_words(page):
    found = Elements(page)
    assert not found.named("link")
    assert not any("src" in attributes for attributes in found.named("script"))
    for picture in found.named("img"):
        assert picture["src"].startswith("data:image/webp;base64,")
        assert picture["alt"]
    charts = [a for a in found.named("div") if a.get("class") == "live"]
    assert charts
    assert all(len(json.loads(chart["data-spec"])["description"]) > 20 for chart in charts)
    (policy,) = [a["content"] for a in found.named("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_names_are_text_whatever_they_are(tmp_path):
    found = page_inputs(
        tmp_path, models=[HOSTILE, f"{HOSTILE}2"], generators=[HOSTILE, "other"],
        platforms=[HOSTILE, "presocial"], ids=HOSTILE, explained=explained(), name=HOSTILE,
    )  # fmt: skip
    leaks = {"kind": "look-alike", "split": "test", "id": HOSTILE, "detail": HOSTILE}
    page = report_page(page_inputs(tmp_path / "again", **{
        "models": list(found.models), "generators": [HOSTILE, "other"], "ids": HOSTILE,
        "platforms": [HOSTILE, "presocial"], "explained": explained(), "name": HOSTILE,
        "leaks": pd.DataFrame([leaks]), "curves": {"roc": f"model,score\n{HOSTILE},1\n{HOSTILE},2"},
    }))  # fmt: skip
    clean = Elements(report_page(page_inputs(tmp_path / "clean", explained=explained())))
    tags = Elements(page)
    assert len(tags.named("script")) == len(clean.named("script"))
    assert not [a for _, a in tags.found if any(name.startswith("on") for name in a)]
    assert all(picture["src"].startswith("data:") for picture in tags.named("img"))
    assert "onerror=" in tags.text  # it is there to be read


def test_a_run_of_little_leaves_out_what_it_has_not(tmp_path):
    found = page_inputs(
        tmp_path, models=["simplenet"], generators=[], platforms=["presocial"], plots=(),
        curves={}, pairs=pd.DataFrame(),
    )  # fmt: skip
    for one in found.scores.values():
        one |= {"variants": {}, "robustness": {}, "artefacts": {}, "generators": {}, "psis": {}}
    page = report_page(found)
    tags = Elements(page)
    text = tags.text
    assert "is the only network here" in text
    assert "Nothing was tried" in text
    assert "No detector was explained." in text
    assert "vegaEmbed" not in page
    assert "Fakes by" not in text
    ids = {attributes["id"] for _, attributes in tags.found if "id" in attributes}
    assert ids.isdisjoint({"differences", "kinds", "looks", "belief", "published", "cross"})
    assert {"short", "data", "detectors", "images", "reading"} <= ids
    facets = browser(found)["facets"]
    assert facets == []
    anchors = {a["href"][1:].partition("?")[0] for a in tags.named("a")}
    assert anchors <= ids | {"browse"}


def test_maps_without_planted_truth_are_not_recommended(tmp_path):
    facts = explained()
    del facts["planted"]
    answer = said(page_inputs(tmp_path, explained=facts))
    assert "**not known**" in answer
    assert "Believe **" not in answer
    facts = explained()
    for row in facts["planted"]["leaderboard"]:
        if "belief" in row:
            row["belief"] = "none"
    facts["planted"]["verdicts"]["single"]["chosen"]["belief"] = "none"
    answer = said(page_inputs(tmp_path / "none", explained=facts))
    assert "can be believed**: " in answer
    assert "Believe **" not in answer


def test_the_browser_has_the_verdicts_of_the_predictions(inputs):
    data = browser(inputs)
    assert data["ids"] == inputs.test["id"].tolist()
    for model in data["models"]:
        steps = np.frombuffer(base64.b64decode(model["distances"]), "<i2").reshape(-1, NUMBER)
        for name, row in zip(data["variants"], steps, strict=True):
            margins = margins_of(inputs.predictions[model["name"]], inputs.test, name)
            threshold = inputs.predictions[model["name"]].threshold
            assert ((row >= 0) == (margins >= threshold)).all()
            assert np.abs(threshold + row / STEP - margins).max() < 1.01 / STEP


def test_a_large_set_is_sampled_and_keeps_the_worst_mistakes(tmp_path):
    found = page_inputs(tmp_path, images=2, explained=explained())
    rows = shown(found)
    assert 2 < len(rows) < NUMBER
    assert MISTAKEN in rows
    data = browser(found)
    assert data["of"] == NUMBER
    assert len(data["pictures"]) == len(rows)
    assert "the most confident mistakes" not in data


def test_charts_are_those_of_dvc_plots_and_compile(inputs):
    for plot in inputs.plots:
        spec = specification(plot)
        assert "DVC_METRIC" not in json.dumps(spec)
        spec["data"] = {"values": inputs.curves[plot.data], "format": {"type": "csv"}}
        made = json.dumps(vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE))
        assert "chosen" in made  # a model can be singled out
    several = specification(inputs.plots[0], revisions=2)
    assert "strokeDash" in json.dumps(several)
    assert "strokeDash" not in json.dumps(specification(inputs.plots[0]))
    assert [chart.title for chart in charts(inputs, "roc")] == ["ROC", "ROC, logarithmic"]


def test_cross_tables_are_grids():
    rows = [
        {"table": 1, "model": "swin", "data": "demo", "trained_on": on, "tested_on": of,
         "accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.95, "auc": np.nan,
         "auc_low": np.nan, "auc_high": np.nan,
         "accuracy_published": 0.97 if on == "a" else np.nan}
        for on in "ab" for of in "ab" if (on, of) != ("b", "a")
    ]  # fmt: skip
    blocks = cross_tables({"platforms": pd.DataFrame(rows)})
    assert blocks[2] == "`swin` on `demo`, by platform"
    grid = blocks[-1]
    assert grid.to_numpy().tolist() == [
        ["a", "90.00 [85.00, 95.00] / 97.00", "90.00 [85.00, 95.00] / 97.00"],
        ["b", "–", "90.00 [85.00, 95.00]"],
    ]
    assert cross_tables({}) == []


def test_words_and_cells():
    assert words("*A*, `a_*b*` and **b** < c\\*") == (
        "<em>A</em>, <code>a_*b*</code> and <strong>b</strong> &lt; c*"
    )
    assert cell("0.5 [0.4, 0.6]") == '0.5 <span class="interval">[0.4, 0.6]</span>'
    grid = Grid.of(pd.DataFrame({"model": ["a"], "AUC": ["0.9 [0.8, 1.0]"], "said": ["so"]}))
    assert grid.numbers == [False, True, False]
    assert not re.search("script", str(cell("[<script>, 1]")).replace("&lt;script&gt;", ""))
