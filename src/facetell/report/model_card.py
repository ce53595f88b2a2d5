# SPDX-License-Identifier: Apache-2.0
"""The model card of a detector, as the Hugging Face Hub shows it (Mitchell et al., "Model Cards for
Model Reporting", 2019): what it is, what it was trained on, how well it does and what breaks it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import pandas as pd
from scipy.special import expit

from facetell import __version__
from facetell.common.errors import UserError
from facetell.evaluation.robustness import by_variant, frequencies, robustness, weak_points
from facetell.explain.trust.verdict import stored
from facetell.metrics import intervals
from facetell.report.markdown import markdown
from facetell.report.number_format import scaled, with_interval
from facetell.report.sections.data import images

Json = Mapping[str, Any]
AUTHORS = "facetell developers"
RESULTS = {  # names here, on the Hub, and for readers
    "auc": ("roc_auc", "AUC"),
    "accuracy": ("accuracy", "accuracy"),
    "accuracy_real": ("specificity", "accuracy on real images"),
    "accuracy_fake": ("recall", "accuracy on fakes"),
    "ap": ("average_precision", "average precision"),
    "f1": ("f1", "F1"),
    "eer": ("eer", "equal error rate"),
    "tpr_at_fpr_1pct": ("tpr_at_fpr", "fakes found at 1% false alarms"),
    "ece": ("ece", "expected calibration error"),
    "brier": ("brier_score", "Brier score"),
}
KINDS = {
    "single": "Fakes with one artefact",
    "several": "Fakes with several artefacts",
    "altered": "Fakes whose altered pixels are known",
}
TAGS = ("facetell", "deepfake-detection", "ai-generated-image-detection", "face", "explainability")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a detector; what is None was not measured.

    ``card`` is that of its weights. ``scores`` is the content of metrics/models/<name>.json,
    ``explained`` of metrics/explain/<name>.json, ``data`` of metrics/data.json, ``training`` of
    models/<name>.json.
    """

    name: str
    card: Json
    scores: Json | None = None
    explained: Json | None = None
    data: Json | None = None
    training: Json | None = None

    @property
    def rendered(self) -> str:
        """How many of the images are rendered: "all", "some" or "none"; "" if not known."""
        if self.data is None:
            return ""
        number, total = (self.data["rendered"][what] for what in ("images", "of"))
        return "none" if not number else "all" if number == total else "some"


def model_card(facts: Facts, *, repo: str = "owner/name", licence: str | None = None) -> str:
    """The text of a README.md, whose metadata the Hub can read.

    Parameters
    ----------
    repo : where the detector will be, for the example of its use: ``owner/name`` or a folder.
    licence : of the weights, as the Hub names it (``apache-2.0``, ``cc-by-nc-sa-4.0``). None:
        Apache-2.0 if all training images are rendered; otherwise "other", because the licences of
        the training images decide it.

    Raises
    ------
    UserError : the scores are not of these weights.

    >>> card = {"network": "simplenet", "width": 1.0, "image_size": 64, "threshold": 0.3,
    ...         "labels": ["real", "fake"], "data": ""}
    >>> text = model_card(Facts(name="mine", card=card), licence="mit")
    >>> print("\\n".join(text.splitlines()[:3]))
    ---
    library_name: facetell
    license: mit
    """
    from huggingface_hub import ModelCard  # takes a while to import

    _same_weights(facts)
    licence = licence or ("apache-2.0" if facts.rendered == "all" else "other")
    metadata = _metadata(facts, licence).to_yaml()
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facetell.report"), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    text = environment.get_template("model_card.md").render(
        name=facts.name,
        card=facts.card,
        threshold=float(expit(facts.card["threshold"])),
        rendered=facts.rendered,
        confidence=intervals.in_words(),
        authors=AUTHORS,
        version=__version__,
        repo=repo,
        licence=_licence(licence),
        **_measured(facts),
    )
    return str(ModelCard(f"---\n{metadata}\n---\n\n{text}", ignore_metadata_errors=False))


def _same_weights(facts: Facts) -> None:
    """Scores of weights that have since been trained again would be a lie about these."""
    if facts.scores is None or "threshold_margin" not in facts.scores["clean"]:
        return
    if abs(facts.scores["clean"]["threshold_margin"] - facts.card["threshold"]) > 1e-5:
        raise UserError(
            f"metrics/models/{facts.name}.json is of other weights than models/{facts.name}."
            "safetensors: they have another threshold; run dvc repro"
        )


def _metadata(facts: Facts, licence: str) -> Any:
    from huggingface_hub import ModelCardData

    sets = list(facts.data["sets"]) if facts.data else []
    return ModelCardData(
        license=licence,
        library_name="facetell",
        pipeline_tag="image-classification",
        tags=[*TAGS, *(["rendered-faces"] if facts.rendered in ("all", "some") else [])],
        datasets=[name for name in sets if "/" in name] or None,  # the Hub's own names only
        metrics=[hub for name, (hub, _) in RESULTS.items() if name in _clean(facts)] or None,
        model_name=facts.name,
        eval_results=list(_results(facts, ", ".join(sets) or "unknown")) or None,
    )


def _clean(facts: Facts) -> Json:
    return facts.scores["clean"] if facts.scores else {}


def _results(facts: Facts, sets: str) -> Iterator[Any]:
    """The results on clean test images with their intervals."""
    from huggingface_hub import EvalResult

    clean = _clean(facts)
    for name, (hub, words) in RESULTS.items():
        if name not in clean:
            continue
        limits = clean["interval"].get(name)
        args = {"confidence": intervals.LEVEL, "low": limits[0], "high": limits[1]}
        yield EvalResult(
            task_type="image-classification",
            task_name="real or fake face",
            dataset_type=sets,
            dataset_name=f"{sets} (rendered faces)" if facts.rendered == "all" else sets,
            dataset_split="test",
            metric_type=hub,
            metric_name=f"{words}, with its {intervals.in_words()} interval" if limits else words,
            metric_value=clean[name],
            metric_args=args if limits else None,
        )


def _measured(facts: Facts) -> dict[str, Any]:
    """The parts of the text that come from measurements, empty where there are none."""
    cost = (facts.training or {}).get("cost", {})
    said: dict[str, Any] = {
        "parameters": scaled(cost["parameters"]) if "parameters" in cost else "",
        "data": images(facts.data) if facts.data else [],
        "tested": "", "results": "", "weak": [], "variants": "", "looks": [], "claims": [],
    }  # fmt: skip
    if facts.scores:
        clean, by_model = facts.scores["clean"], {facts.name: dict(facts.scores)}
        table = robustness(by_model)
        said["tested"] = f"{clean['n']:,} test images"
        said["results"] = markdown(_table(clean))
        said["weak"] = [*weak_points(by_model), *frequencies(table)]
        said["variants"] = markdown(by_variant(table)) if len(table) > 1 else ""
    if facts.explained:
        looks = facts.explained.get("looks_at", [])
        said["looks"] = [one["sentence"] for one in looks if one["class"] == "fake"]
        planted = facts.explained.get("planted")
        verdicts = stored(planted) if planted else {}
        said["claims"] = [
            f"{KINDS.get(kind, kind)}: {verdict.claim}" for kind, verdict in verdicts.items()
        ]
    return said


def _table(clean: Json) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"measure": words, "value": with_interval(clean, name)}
            for name, (_, words) in RESULTS.items()
            if name in clean
        ]
    )


def _licence(licence: str) -> str:
    if licence == "other":
        return (
            "The licences of the training images decide what may be done with these weights. "
            "Many sets of faces are for non-commercial research only."
        )
    return f"`{licence}`. The training images have licences of their own."
