# SPDX-License-Identifier: Apache-2.0
"""The evidence: every section of the page below the first screen, in reading order."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from facetell.common.labels import CLASSES
from facetell.explain.trust.verdict import stored
from facetell.metrics import intervals
from facetell.report import explanations as explained
from facetell.report.markdown import Heading
from facetell.report.number_format import counted
from facetell.report.page.charts import charts
from facetell.report.page.claims.beware import DATA, PAIRS
from facetell.report.page.cross import cross_tables
from facetell.report.page.inputs import Inputs
from facetell.report.page.parts import Group, Part, Picture, Section, after, figure
from facetell.report.sections.beside import beside_published
from facetell.report.sections.clean import calibration, clean_images, operating_point
from facetell.report.sections.data import images, shortcuts
from facetell.report.sections.differences import differences
from facetell.report.sections.parts import leak, parts
from facetell.report.sections.perturbed import FREQUENCIES, PERTURBED, perturbed_images

LESS = 65  # WebP quality of figures of which there are some for each model
KINDS = {  # of fakes whose mask is known
    "single": "a single planted artefact",
    "several": "several planted artefacts",
    "altered": "altered pixels",
}
LISTED = 20  # rows of a list of pairs
OF_MODEL = {  # figures of the explain stage, and what each shows
    "class_means": "mean maps of fake and of real test images, and where they differ",
    "regions": "relevance by region of the face",
    "layers_fake": "one fake, by Grad-CAM at every layer",
}


def sections(found: Inputs) -> list[Section]:
    """Those of which this run has something to show; the browser of images is a part of its own."""
    scores = found.scores
    kinds: list[Part] = [*parts(scores), *leak(scores)]
    if kinds:
        kinds.insert(0, Heading("Kinds of fakes, and where images come from"))
    candidates = [
        _data(found),
        Section.of("shortcuts", shortcuts(found.data["audit"]), *_data_figures(found)),
        Section.of("detectors", clean_images(scores), *charts(found, "roc", "det", "pr", "scores"),
                   *operating_point(scores)),
        Section.of("differences", differences(found.pairs, found.best)),
        Section.of("calibration", calibration(scores), *charts(found, "reliability")),
        Section.of("kinds", kinds),
        _robustness(found),
        _looks(found),
        _belief(found),
        _training(found),
        Section.of("published", _published(found)),
        Section.of("cross", cross_tables(found.cross)),
        _reading(),
    ]  # fmt: skip
    return [section for section in candidates if section is not None]


def _data(found: Inputs) -> Section:
    """What there is, the gallery, and the pairs across splits."""
    counts = pd.DataFrame(
        [
            {"split": split, **{name: f"{sizes[name]:,}" for name in CLASSES},
             "without copies": f"{found.data['effective'][split]:,}"}
            for split, sizes in found.data["counts"].items()
        ]
    )  # fmt: skip
    shown: list[Part] = [counts, *images(found.data)]
    aside = found.data["set_aside"]["reasons"]
    if aside:
        shown += [
            Heading("Files that cannot be used"),
            pd.DataFrame({"reason": list(aside), "files": [f"{n:,}" for n in aside.values()]}),
        ]
    if len(found.leaks):
        some = f"The first {LISTED} of " if len(found.leaks) > LISTED else ""
        pairs = found.leaks.head(LISTED).fillna("").astype(str)
        shown += [
            Heading(PAIRS),
            f"{some}{counted(len(found.leaks), 'pair')} (metrics/leaks.csv). A look-alike is no "
            "leak: it is listed so that somebody can look.",
            pairs.rename(columns=lambda name: str(name).replace("_", " ")),
        ]
    for name in found.data["sets"]:
        picture = figure(
            found.figures / f"data/gallery_{name}.png", f"Gallery of {name}",
            f"The first images of the set {name} by class and generator; none is picked",
        )  # fmt: skip
        shown += [picture] if picture else []
    return Section("data", DATA, shown)


def _data_figures(found: Inputs) -> list[Picture]:
    words = "; ".join(f"{n} {area['auc']:.2f}" for n, area in found.data["audit"]["auc"].items())
    drawn = [
        figure(found.figures / "data/shortcuts.png", "How well shortcuts predict the label",
               f"AUC of fake against real by shortcut: {words}".replace("_", " ")),
        figure(found.figures / "data/spectrum.png", "Spectra of real and of fake images",
               "Mean power by frequency of real and of fake images, their difference, and the "
               "difference of their cosine transforms"),
    ]  # fmt: skip
    return [picture for picture in drawn if picture]


def _robustness(found: Inputs) -> Section | None:
    blocks: list[Part] = list(perturbed_images(found.scores))
    worst = "; ".join(
        f"{model} {one['robustness']['worst']}"
        for model, one in found.scores.items()
        if one["robustness"]
    )
    drawn = [
        figure(found.figures / "compare/drops.png", "What is lost",
               f"Drop of accuracy and of AUC by perturbation. The worst: {worst}"),
        figure(found.figures / "compare/flips.png", "Which verdicts change",
               "Shares of the test images whose verdict turns from fake to real and from real to "
               "fake, by perturbation"),
    ]  # fmt: skip
    more = [*charts(found, "robustness"), *(picture for picture in drawn if picture)]
    if not worst and not more:
        return None
    blocks = after(blocks, PERTURBED, more)
    blocks = after(blocks, FREQUENCIES, charts(found, "frequency"))
    return Section.of("robustness", blocks)


def _looks(found: Inputs) -> Section | None:
    regions = figure(
        found.figures / "compare/regions.png", "Where detectors look in fakes",
        "Relevance by face region and model, as a multiple of the region's area. The sentences "
        "above have the numbers.",
    )  # fmt: skip
    blocks = explained.where_they_look(found.explained)
    of_models = [group for model in found.models if (group := _of_model(found, model)).pictures]
    if not blocks and of_models:
        blocks = [Heading(explained.LOOKS)]
    return Section.of("looks", blocks, *([regions] if regions else []),
                      *explained.replaced_regions(found.explained), *of_models)  # fmt: skip


def _of_model(found: Inputs, model: str) -> Group:
    folder = found.figures / "explain" / model

    def drawn_of(name: str) -> Picture | None:
        what = OF_MODEL[name]
        title = f"{what[0].upper()}{what[1:]}"
        return figure(folder / f"{name}.png", title, f"{model}: {what}", LESS)

    with ThreadPoolExecutor() as pool:  # Pillow works outside of Python's lock
        drawn = list(pool.map(drawn_of, OF_MODEL))
    return Group(f"Maps of {model}", [picture for picture in drawn if picture])


def _belief(found: Inputs) -> Section | None:
    planted = {m: stored(f["planted"]) for m, f in found.explained.items() if "planted" in f}
    drawn: list[Part] = []
    for kind, words in KINDS.items():
        claims = [f"{m}: {one[kind].claim}" for m, one in planted.items() if kind in one]
        picture = figure(
            found.figures / f"compare/leaderboard_{kind}.png",
            f"Leaderboard of maps, fakes with {words}",
            " ".join(claims),
        )
        drawn += [picture] if picture else []
    agreement = figure(
        found.figures / "compare/agreement.png",
        "Do measures of faithfulness rank maps as planted truth does?",
        "Kendall's tau of each measure with relevance rank accuracy, by model. The table has the "
        "numbers.",
    )
    with_, without = (
        explained.planted_truth(found.explained),
        explained.without_truth(found.explained),
    )
    if not with_:
        return Section.of("belief", without)
    return Section.of("belief", with_, *drawn, *without, *([agreement] if agreement else []))


def _training(found: Inputs) -> Section | None:
    drawn = charts(found, "learning")
    if not drawn:
        return None
    said = "The kept weights are those of the best validation epoch, never of the test images."
    return Section("training", "Training", [said, *drawn])


def _published(found: Inputs) -> list[Part]:
    blocks: list[Part] = list(beside_published(found.tables))
    return [Heading("Beside published results, and cost"), *blocks] if blocks else []


def _reading() -> Section:
    """What a reader has to know of every number."""
    level = intervals.in_words()
    return Section(
        "reading",
        "How to read this",
        [
            (
                f"Square brackets hold {level} intervals. They resample **persons, not images**: "
                "images of one person are not independent, and n images of few persons say less "
                "than their number suggests.",
                "Detectors are compared by paired tests on the same images (McNemar for accuracy, "
                "DeLong for AUC), by person, corrected for the number of pairs (Holm). Overlapping "
                "intervals of two detectors say nothing about their difference.",
                "AUC is the chance that a fake gets a higher score than a real image: 0.5 is "
                "guessing, 1 is perfect. The verdict is fake at or above a threshold that was "
                "chosen on validation images.",
                "A margin is the logit of fake minus that of real. Calibrated probabilities are "
                "those of the margin divided by a temperature that was fitted on validation "
                "images.",
                "A map says where a score comes from, not why, and not whether that is right. Only "
                "maps that found planted artefacts are called believed, within the limits stated.",
                "A score is no proof. No number here holds for images unlike the test images.",
            )
        ],
    )
