# SPDX-License-Identifier: Apache-2.0
"""publish: the result tables and pictures of README and docs, from finished results: no stage, a
command.

``python -m pipeline.publish`` fills what stands between ``<!-- results:NAME -->`` and
``<!-- /results:NAME -->`` in the pages, and draws the pictures. With ``--tables`` it needs nothing
but metrics/, which is in git; the pictures need the models and figures of a finished ``dvc repro``.
"""

import argparse
import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from facetell.common.errors import UserError
from facetell.common.figure_style import plt
from facetell.common.files import read_json, whole, write_text
from facetell.dataset.stored import in_order, read_manifest
from facetell.evaluation.model_scores import margins_of
from facetell.evaluation.predictions import CONTROL, read
from facetell.explain import default_layer, explain
from facetell.explain.layers import spread_layers
from facetell.explain.survey.examples import CAM, Example, examples
from facetell.explain.trust.planted import gated
from facetell.explain.trust.planted_benchmark import untrained
from facetell.explain.trust.trials import SMALLEST
from facetell.images.loading import Images, batch_of
from facetell.images.packed import Packed, planted_mask
from facetell.models.detector import Detector
from facetell.models.factory import build, parameter_count
from facetell.report import published
from facetell.report.explanations import WITH_TRUTH, WITHOUT_TRUTH
from facetell.report.figures.layers import every_layer
from facetell.report.markdown import ABSENT, markdown
from facetell.report.number_format import with_interval
from facetell.report.sections.differences import PAIRS
from facetell.report.sections.parts import PLANTED
from facetell.report.sections.perturbed import FREQUENCIES, PERTURBED
from pipeline import paths, photo_tables, scale_tables
from pipeline.settings import Settings
from pipeline.stage import run

PAGES = (Path("README.md"), *sorted(Path("docs").glob("*.md")))
BLOCK = re.compile(r"(<!-- results:([\w-]+) -->\n).*?(<!-- /results:\2 -->)", re.DOTALL)
PICTURES = Path("docs/images")
WIDTH = 1000  # px
COLOURS = 256  # of a picture's palette
MADE_FROM = "made from"  # where a picture says what it was drawn from
LAYERS = 5  # columns of maps in the picture of one face
COUNTED = ("epoch", "parameters", "seconds")


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipeline.publish", description=__doc__)
    parser.add_argument("--tables", action="store_true", help="leave the pictures as they are")
    options = parser.parse_args(arguments)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            write_text(page, filled)
            print(f"{page}: results brought up to date")
    if not options.tables:
        for name, draw in DRAWINGS.items():
            write(draw(), PICTURES / f"{name}.png")
            print(f"{PICTURES / name}.png: drawn")


def fill(text: str) -> str:
    """A page with every result block made anew.

    Raises
    ------
    UserError : a block has a name that is not in ``BLOCKS``.
    """

    def made(found: re.Match[str]) -> str:
        name = found[2]
        if name not in BLOCKS:
            raise UserError(f"there are no results:{name}; there are {', '.join(BLOCKS)}")
        return f"{found[1]}\n{BLOCKS[name]().strip()}\n\n{found[3]}"

    return BLOCK.sub(made, text)


def demo() -> str:
    """The README's table: every selected model on clean and perturbed test images."""
    rows = []
    for model, found in scores().items():
        clean, hard = found["clean"], found["robustness"]
        rows.append(
            {
                "model": f"`{model}`" + " (linear baseline)" * (model == paths.BASELINE),
                "AUC": with_interval(clean, "auc"),
                "AUC, several artefacts": f"{found['artefacts']['several']['auc']:.3f}",
                "AUC, artefacts removed": f"{found['variants'][CONTROL]['auc']:.3f}",
                "accuracy": with_interval(clean, "accuracy"),
                "AUC, perturbed": f"{hard['auc_mean']:.3f}",
                "worst perturbation": f"{hard['auc_worst']:.3f}, {hard['worst']}",
            }
        )
    data = read_json(paths.DATA)
    images = data["counts"]["test"]
    said = (
        f"{images['real']} real and {images['fake']} fake test images; brackets: 95% "
        "intervals, resampled by person. *Several artefacts*: only fakes like those in training; "
        "the others carry a single artefact. *Artefacts removed*: the same fakes rendered without "
        "what was planted; 0.5 is expected. *Perturbed*: mean over "
        f"{scores()[headline()]['robustness']['perturbations']} perturbations. Trained on "
        f"{device()}, without a GPU."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\n{said}"


def shortcuts() -> str:
    """What features that have nothing to do with faces give away."""
    audit = read_json(paths.DATA)["audit"]
    rows = {
        "feature": [name.replace("_", " ") for name in audit["auc"]],
        "AUC": [f"{v['auc']:.2f} [{v['low']:.2f}, {v['high']:.2f}]" for v in audit["auc"].values()],
    }
    return f"{markdown(pd.DataFrame(rows))}\n\nMeasured on {audit['images']:,} images."


def costs() -> str:
    """What training took."""
    rows = []
    for model, found in scores().items():
        cost = found["training"]["cost"]
        epochs = cost["epochs"]
        rows.append(
            {
                "model": f"`{model}`",
                "parameters": f"{cost['parameters']:,}",
                "epochs": ABSENT if epochs is None else str(epochs),
                "seconds": f"{cost['seconds']:,.0f}",
                "images/s": f"{cost['images_per_second']:,.0f}",
                "memory": f"{cost['memory_mib']:,} MiB",
                "precision": cost["precision"],
                "device": cost["device"],
            }
        )
    return markdown(pd.DataFrame(rows))


def from_report(heading: str, part: str) -> Callable[[], str]:
    """The first table, or the bullets, below a heading of metrics/report.md."""

    def made() -> str:
        report = paths.REPORT.read_text(encoding="utf-8")
        sections = dict(
            text.split("\n", 1) for text in re.split(r"^## ", report, flags=re.MULTILINE)[1:]
        )
        if heading not in sections:
            raise UserError(f"{paths.REPORT} has no section {heading!r}")
        found = re.search(rf"(?:^{re.escape(part)}.*\n?)+", sections[heading], re.MULTILINE)
        return found[0] if found else "Nothing was found."

    return made


def printed(rows: tuple[published.Row, ...], *, setting: bool = False) -> Callable[[], str]:
    """Numbers as a publication prints them, as ``facetell.report.published`` has them."""

    def made() -> str:
        table = []
        for row in rows:
            cells = {"model": row.name}
            if setting:
                cells["trained on"] = row.setting.data
            cells |= {name.replace("_", " "): number(name, v) for name, v in row.values.items()}
            table.append(cells)
        return markdown(pd.DataFrame(table).fillna(ABSENT))

    return made


def crossed() -> str:
    """The TrueFace study's cross table."""
    rows = [
        {"trained on": trained, "model": row.name}
        | {part: number(part, row.values[part]) for part in published.TESTED if part in row.values}
        for trained, group in published.CROSS.items()
        for row in group
    ]
    return markdown(pd.DataFrame(rows).fillna(ABSENT))


def number(name: str, value: float) -> str:
    """Percentages and gigabytes with two decimals, counts as whole numbers."""
    return f"{value:,.0f}" if name in COUNTED else f"{value:.2f}"


def quick() -> str:
    """What the quick recipe changes in each published network, and how large that leaves it."""
    conf = Path("conf")
    recipe = _conf(conf / "config.yaml")["recipes"]["quick"]
    rows = []
    for model in [*_conf(conf / "model/all.yaml")["defaults"][:-1], "mobilenetv2"]:
        entry = _conf(conf / f"model/{model}.yaml")["models"][model]
        changes = entry["quick"]
        options = changes.get("options", {})
        with torch.device("meta"):
            network = build(
                entry.get("network", model),
                width=changes.get("width", 1.0),
                image_size=recipe["image_size"],
                **options,
            )
        built = ({"width": changes["width"]} if "width" in changes else {}) | options
        chosen = recipe | changes
        rows.append(
            {
                "model": f"`{model}`",
                "differs from the published network in": ", ".join(
                    f"{name} {value}" for name, value in built.items()
                )
                or "nothing but the size of the image",
                "parameters": f"{parameter_count(network):,}",
                "epochs": chosen["epochs"],
                "learning rate": f"{float(chosen['lr']):g}",
                "augmentation": chosen["augment"],
            }
        )
    return markdown(pd.DataFrame(rows))


def _conf(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


BLOCKS: dict[str, Callable[[], str]] = (
    {
        "demo": demo,
        "shortcuts": shortcuts,
        "costs": costs,
        "kinds": from_report(PLANTED, "| "),
        "pairs": from_report(PAIRS, "- "),
        "breaks": from_report(PERTURBED, "- "),
        "frequencies": from_report(FREQUENCIES, "- "),
        "planted": from_report(WITH_TRUTH, "| "),
        "agreement": from_report(WITHOUT_TRUTH, "| "),
        "quick": quick,
        "published-accuracy": printed(published.ACCURACY),
        "published-perturbed": printed(published.PERTURBED),
        "published-cost": printed(published.COST),
        "published-best-epoch": printed(published.BEST_EPOCH, setting=True),
        "published-presocial": printed(published.PRESOCIAL),
        "published-cross": crossed,
    }
    | photo_tables.BLOCKS
    | scale_tables.BLOCKS
)


def scores() -> dict[str, dict[str, Any]]:
    """All numbers of each selected model, the baseline last."""
    models = [*Settings.load().models, paths.BASELINE]
    return {model: read_json(paths.scores(model)) for model in models}


def headline() -> str:
    """The model that stands for all in summaries: by name, or the only one."""
    settings = Settings.load()
    return settings.headline if len(settings.models) > 1 else next(iter(settings.models))


def device() -> str:
    return scores()[headline()]["training"]["cost"]["device"]


def believable_maps() -> Image.Image:
    """The leaderboard of maps as ``compare`` drew it, at a README's size."""
    path = paths.COMPARISONS / "leaderboard_single.png"
    if not path.is_file():
        raise UserError(f"there is no {path}: run dvc repro, or dvc pull, first")
    return Image.open(path).convert("RGB")


def one_face() -> Image.Image:
    """The first fake that the headline model tells by its single artefact, at some layers, beside
    the same network with random weights."""
    model, settings = headline(), Settings.load()
    detector = Detector.load(paths.weights(model))
    card = detector.card
    images = Images(Packed(paths.PACKED["test"]), card.image_size)
    test = in_order(read_manifest(paths.MANIFEST, splits=["test"]), images.packed.ids)
    predictions = read(paths.predictions(model))
    clean, without = (margins_of(predictions, test, name) for name in ("clean", CONTROL))
    single = ~test["artefacts"].str.contains("+", regex=False) & (test["label"] == 1)
    told = np.flatnonzero(single & gated(clean, without, card.threshold))
    if not len(told):
        raise UserError(f"{model} tells no fake by a single artefact: there is no face to explain")
    row = int(told[0])
    mask = planted_mask(images.packed.mask(row), images.size)
    batch = batch_of(images, [row], next(detector.parameters()).device)
    pixels = images[row][1].permute(1, 2, 0).numpy()[None]
    layers = [*spread_layers(detector, batch, LAYERS - 1, SMALLEST), str(default_layer(detector))]
    networks = {
        f"{model}, trained": detector,
        "random weights": untrained(detector, settings.train.seed),
    }
    rows: list[Example] = []
    for name, network in networks.items():
        found = explain(network, batch, methods=(CAM,), layers=layers, seed=settings.train.seed)
        rows += examples(found, pixels, [name], card.threshold, labels=[1], masks=[mask])
    title = (
        f"A fake with a planted artefact ({test['artefacts'][row].replace('_', ' ')}), explained"
    )
    figure = every_layer(rows, CAM, title, one_scale=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return Image.open(buffer).convert("RGB")


DRAWINGS = {"believable_maps": believable_maps, "one_face": one_face}


def write(picture: Image.Image, path: Path) -> None:
    """At most ``WIDTH`` px wide, with a palette, and with a note of what it was made from."""
    if picture.width > WIDTH:
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    # by coverage: the median cut would lose the colours of small marks
    small = picture.quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
    )
    note = PngInfo()
    note.add_text(MADE_FROM, source())
    with whole(path) as temporary:
        small.save(temporary, "PNG", optimize=True, pnginfo=note)


def source() -> str:
    """A digest of the results that the pictures show: those of metrics/explain."""
    digest = hashlib.sha256()
    for model in Settings.load().models:
        digest.update(paths.explained(model).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    run(main)
