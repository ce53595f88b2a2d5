# SPDX-License-Identifier: Apache-2.0
"""How perturbations are registered, and suites of them: from lines of YAML to variants of images.

To add one, write its function in the module of its kind beside this file (``colour``,
``degradation``, ``frequency_filters``, ``geometry``) and a line in ``conf/config.yaml``.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from facetell.common.errors import UserError
from facetell.evaluation.predictions import CONTROL

Ids = list[str]
Function = Callable[..., torch.Tensor]
Settings = Mapping[str, Any]

RESERVED = ("clean", CONTROL)  # names of what is scored beside a suite
SIDE = 32  # px of the image on which settings are tried


@dataclass(frozen=True)
class Perturbation:
    """A function from RGB in [0, 1], float (B, 3, S, S), and ids to the same shape and range.

    ``level`` names the setting that varies, if one does; ``label`` is the axis label of a figure
    over it, with its unit; ``neutral`` is the level at which nothing happens, if there is one. A
    ``probe`` asks what a detector uses rather than what breaks it, and does not count in its
    robustness.
    """

    function: Function
    label: str
    level: str | None = None
    neutral: float | None = None
    probe: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True)
class Variant:
    """A perturbation with all its settings; it is called with images and ids.

    >>> from facetell.evaluation.perturbations import PERTURBATIONS
    >>> darker = Variant(PERTURBATIONS["brightness"], {"factor": 0.5})
    >>> darker(torch.full((1, 3, 32, 32), 0.5), ["an id"]).max()
    tensor(0.2500)
    >>> darker.metadata["level"]
    0.5
    """

    perturbation: Perturbation
    settings: Settings = field(default_factory=dict)

    def __call__(self, images: torch.Tensor, ids: Ids) -> torch.Tensor:
        return self.perturbation.function(images, ids, **self.settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """What scores and figures need to know: perturbation, level, label, neutral, probe."""
        what = self.perturbation
        return {
            "perturbation": what.name,
            "level": self.settings[what.level] if what.level else None,
            "label": what.label,
            "neutral": what.neutral,
            "probe": what.probe,
        }


PERTURBATIONS: dict[str, Perturbation] = {}


def perturbation(
    label: str, *, level: str | None = None, neutral: float | None = None, probe: bool = False
) -> Callable[[Function], Function]:
    """Register a function under its name; the arguments are those of ``Perturbation``.

    What is random in the function must follow from (its name, level, id) alone, never from the
    order or the batch: see ``facetell.common.seeding.seed_of``. Settings are keyword arguments, and
    a bad one raises UserError: see ``within``.

    >>> @perturbation("Inverted, share", level="share", neutral=0)
    ... def invert(images: torch.Tensor, ids: Ids, *, share: float) -> torch.Tensor:
    ...     within("share", share, 0, 1)
    ...     return images + share * (1 - 2 * images)
    >>> PERTURBATIONS.pop("invert").name
    'invert'
    """

    def register(function: Function) -> Function:
        PERTURBATIONS[function.__name__] = Perturbation(function, label, level, neutral, probe)
        return function

    return register


def within(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    """UserError unless a setting is a number (with ``whole``, an integer) from low to high.

    >>> within("quality", 0, 1, 100, whole=True)
    Traceback (most recent call last):
    facetell.common.errors.UserError: quality must be a whole number from 1 to 100, not 0
    """
    kind = "a whole number" if whole else "a number"
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right or not low <= value <= high:
        raise UserError(f"{name} must be {kind} from {low:g} to {high:g}, not {value!r}")


def suite(suites: Mapping[str, Mapping[str, Settings | None]], chosen: str) -> dict[str, Variant]:
    """The variants of one suite by name, in the order of its lines.

    ``suites`` is ``predict.suites`` of ``conf/config.yaml``: by suite, settings by line. A line
    names the perturbation, or has it as its setting ``perturbation``. Where the level is a list,
    there is a variant ``<line>_<level>`` for each; else the variant is called as the line.

    Raises
    ------
    UserError : there is no such suite or perturbation, or a setting is unknown, missing or out of
        range; every variant is tried on a small image, so that hours of scoring do not end so.

    >>> from facetell.evaluation.perturbations import suite
    >>> list(suite({"mine": {"flip": {}, "blur": {"sigma": [1, 2]}}}, "mine"))
    ['flip', 'blur_1', 'blur_2']
    """
    if chosen not in suites:
        raise UserError(f"data.suite: no suite {chosen!r}; there are {', '.join(suites)}")
    made: dict[str, Variant] = {}
    for line, settings in suites[chosen].items():
        try:
            for name, variant in _variants(str(line), settings or {}).items():
                if name in made or name in RESERVED:
                    raise UserError(f"a variant {name} is there already; give it another name")
                _try(variant)
                made[name] = variant
        except UserError as error:
            raise UserError(f"predict.suites.{chosen}.{line}: {error}") from error
    return made


def _variants(line: str, options: Settings) -> dict[str, Variant]:
    """One line's variants by name."""
    if not isinstance(options, Mapping):
        raise UserError(f"settings are written as {{name: value}}, not {options!r}")
    settings = dict(options)
    name = settings.pop("perturbation", line)
    if name not in PERTURBATIONS:
        raise UserError(f"no perturbation {name}; there are {', '.join(sorted(PERTURBATIONS))}")
    what = PERTURBATIONS[name]
    known = {
        key: parameter.default is parameter.empty
        for key, parameter in inspect.signature(what.function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    takes = f"{name} takes {', '.join(known) or 'no settings'}"
    if unknown := settings.keys() - known.keys():
        raise UserError(f"unknown {', '.join(sorted(unknown))}; {takes}")
    if missing := [key for key, needed in known.items() if needed and key not in settings]:
        raise UserError(f"{', '.join(missing)} is missing; {takes}")
    lists = [key for key, value in settings.items() if isinstance(value, list)]
    if lists and lists != [what.level]:
        raise UserError(f"only {what.level} may be a list, not {', '.join(lists)}")
    if not lists:
        return {line: Variant(what, settings)}
    levels = settings[lists[0]]
    names = [f"{line}_{level:g}" if _number(level) else f"{line}_{level}" for level in levels]
    if not levels or len(set(names)) < len(names):
        raise UserError(f"{what.level} must be a list of different levels, not {levels}")
    return {
        name: Variant(what, settings | {lists[0]: level})
        for name, level in zip(names, levels, strict=True)
    }


def _number(level: Any) -> bool:
    return isinstance(level, int | float)


def _try(variant: Variant) -> None:
    grey = torch.full((1, 3, SIDE, SIDE), 0.5)
    result = variant(grey, ["an id"])
    assert result.shape == grey.shape, variant.perturbation.name
