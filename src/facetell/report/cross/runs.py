# SPDX-License-Identifier: Apache-2.0
"""One model of one experiment, and what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facetell.dataset.layouts import is_rendered
from facetell.dataset.splits import named
from facetell.report.published import TESTED

# parts of the test images, each a key of metrics/models/<model>.json, in words
KINDS = {"platforms": "platform", "sets": "set", "generators": "generator", "psis": "psi"}
COMBINED = "combined"
ORDER = (COMBINED, *TESTED)  # as the TrueFace study has rows and columns; others follow by name
NEEDED = frozenset({*KINDS, "clean", "platform_average", "training"})  # of a model's scores


@dataclass(frozen=True)
class Run:
    """One model of one experiment.

    model : its key.
    data : what the split was made with, named as in params.yaml (``data.train_on``, ...).
    made_by : what else the numbers depend on, by name: archives, code, recipe.
    scores : as metrics/models/<model>.json has them.
    experiment, revision : where it was found.
    images : number of training images; None if the experiment does not tell.
    """

    model: str
    data: Mapping[str, Any]
    made_by: Mapping[str, Any]
    scores: Mapping[str, Any]
    experiment: str
    revision: str
    images: int | None = None

    @property
    def sets(self) -> dict[str, dict[str, Any]]:
        """The settings of each set, as ``data.sets`` of params.yaml."""
        return self.data["data.sets"]

    @property
    def rendered(self) -> list[str]:
        """The sets whose images a program drew."""
        return [name for name, settings in self.sets.items() if is_rendered(settings)]


def chosen(run: Run) -> tuple[list[str], list[str]]:
    """The platforms and the sets that a run was trained on; none of either where it is all."""
    sets, train_on = run.sets, run.data["data.train_on"]
    wanted = {train_on} if isinstance(train_on, str) else set(train_on)
    # what is no set is a platform, whether or not it has test images
    platforms, among = named(train_on, run.scores["platforms"].keys() | wanted - sets.keys(), sets)
    learnt = [name for name in among or sets if sets[name].get("use") != "test"]
    return sorted(platforms, key=place), sorted(learnt) if len(learnt) < len(sets) else []


def trained_on(run: Run) -> str:
    """What a run was trained on, in a few words: sets, platforms, or ``combined`` for all."""
    platforms, sets = chosen(run)
    return ", ".join(" + ".join(names) for names in (sets, platforms) if names) or COMBINED


def place(name: str) -> tuple[int, str]:
    """Where a row or column belongs: a key to sort by.

    Examples
    --------
    >>> sorted(["whatsapp", "facebook", "presocial", "combined"], key=place)
    ['combined', 'presocial', 'facebook', 'whatsapp']
    """
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)
