# SPDX-License-Identifier: Apache-2.0
"""Where each file of the pipeline lies, relative to the repository; dvc.yaml has the same paths."""

import os
from contextlib import suppress
from pathlib import Path

from facetell.common.labels import SPLITS

BASELINE = "spectral"  # the linear classifier, which stands beside the selected models

MANIFEST = Path("data/manifest")  # a folder, partitioned by split
PACKED = {split: Path(f"data/packed/{split}") for split in SPLITS}

DATA = Path("metrics/data.json")
LEAKS = Path("metrics/leaks.csv")
FILES = Path("metrics/files.json")  # what became of each file of the sets
SET_ASIDE = Path("metrics/set_aside.csv")
REPORT = Path("metrics/report.md")
SUMMARY = Path("metrics/summary.json")
TABLES = Path("metrics/tables")
CROSS = Path("metrics/cross")

DATA_FIGURES = Path("plots/data")
COMPARISONS = Path("plots/compare")
PAGE = Path("plots/report/index.html")

STAGES = Path("dvc.yaml")  # says what dvc plots draws, too

FINDINGS = Path(".cache/findings")  # what was seen of images; of the user's checkout, too
FEATURES = Path(".cache/features")  # of frozen networks; of the user's checkout, too
DOWNLOADS = Path(".cache/downloads")  # of the user's checkout: kept between runs


def watched(name: str) -> Path:
    """What was seen of the user's own files of a data set."""
    return Path(f"data/watch/{name}.json")


def raw(data: str) -> Path:
    """The folder of a data set's archives; each of its sets has a folder of its own in it."""
    return Path(f"data/raw/{data}")


def weights(model: str) -> Path:
    """A trained network, with its card."""
    return Path(f"models/{model}.safetensors")


def training(model: str) -> Path:
    """The recipe by which a model was trained, and what that cost."""
    return Path(f"models/{model}.json")


def training_log(model: str) -> Path:
    """Losses and rates per epoch."""
    return Path(f"plots/train/{model}.csv")


def epochs(model: str) -> Path:
    """Margins of the test images after each epoch, without labels."""
    return Path(f"data/epochs/{model}.parquet")


def training_state(model: str) -> Path:
    """What an interrupted training goes on from; no output of dvc's, which would remove it."""
    return Path(f".cache/training/{model}")


def predictions(model: str) -> Path:
    """The margin of every validation and test image, clean and in every variant."""
    return Path(f"data/predictions/{model}.parquet")


def scores(model: str) -> Path:
    """All numbers of one model."""
    return Path(f"metrics/models/{model}.json")


def explained(model: str) -> Path:
    """Where a model looks, and which of its maps can be believed."""
    return Path(f"metrics/explain/{model}.json")


def maps(model: str) -> Path:
    """Small maps of the test images that the report shows one by one."""
    return Path(f"data/maps/{model}.parquet")


def explanations(model: str) -> Path:
    """The folder of a model's figures of explanations."""
    return Path(f"plots/explain/{model}")


def curve(name: str) -> Path:
    """A table that ``dvc plots`` draws."""
    return Path(f"plots/{name}.csv")


def user_path(path: str | Path) -> Path:
    """A path as the user meant it: relative to the repository, not to a queued run's copy."""
    meant = Path(path)
    with suppress(RuntimeError):  # ~name of no user: a file that is called so
        meant = meant.expanduser()
    return _repository() / meant


def as_meant(path: Path) -> Path:
    """A path of ``user_path`` as the user meant it: the same in every clone of the repository.

    >>> as_meant(user_path("photos/1.png")) == Path("photos/1.png")
    True
    """
    root, path = _repository().absolute(), path.absolute()
    return path.relative_to(root) if path.is_relative_to(root) else path


def _repository() -> Path:
    return Path(os.environ.get("DVC_ROOT", "."))
