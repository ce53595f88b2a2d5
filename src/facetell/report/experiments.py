# SPDX-License-Identifier: Apache-2.0
"""The last experiments at a glance: a dozen columns of some 230, and what differs in settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from facetell.common.errors import UserError
from facetell.report.detectors import headline_of
from facetell.report.versions.settings import ABSENT, Change, changes, in_words

WORKSPACE = "workspace"
SETTINGS, NUMBERS = "params.yaml", "metrics/summary.json"
DONE, FAILED = "done", "failed"
SUCCESS = "success"  # as dvc calls what is done
CHOICES = {"data": "data.name", "model": "model"}  # where params.yaml names each choice
# columns that rows can be sorted by; numbers are those of metrics/summary.json, the best first
SORTED_BY = {
    "auc": "auc",
    "accuracy": "accuracy",
    "perturbed": "perturbed_auc_mean",
    "worst": "perturbed_auc_worst",
}
Settings = Mapping[str, Any]


class Composed(NamedTuple):
    """What choices of data and model give: resolved settings, and the dotted keys among them that
    only repeat another."""

    settings: Settings
    derived: frozenset[str] = frozenset()


Compose = Callable[[dict[str, str]], Composed | None]  # None: these choices do not compose any more


@dataclass(frozen=True)
class Experiment:
    """One experiment, the commit that experiments were started from, or the workspace.

    name : of the experiment, of the branch, or an abbreviated hash. revision : the hash.
    base : name of the commit it was started from; "" for a commit itself.
    state : done, queued, running, failed. error : why it failed, where that is known.
    when : it was committed or queued. models : that it trains. headline : whose ``numbers``, as in
    metrics/summary.json, these are.
    differs : settings that are not those of ``base``, as ``-S`` takes them.
    """

    name: str
    revision: str = ""
    base: str = ""
    state: str = DONE
    error: str = ""
    when: datetime | None = None
    models: tuple[str, ...] = ()
    headline: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    differs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "when": self.when.isoformat() if self.when else None,
            "models": list(self.models),
            "numbers": dict(self.numbers),
            "differs": list(self.differs),
        }


def experiments(states: Sequence[Mapping[str, Any]], compose: Compose) -> list[Experiment]:
    """Every row of ``dvc exp show --json``, commits after their experiments.

    states : as dvc has them: the workspace first, then commits with their experiments.
    compose : from choices, as ``{"data": "demo", "model": "swin"}``, to what they give.
    """
    head = next((s for s in states if s["rev"] != WORKSPACE), {})
    found = []
    for state in states:
        if state["rev"] == WORKSPACE:
            found.append(_row(state, WORKSPACE, head, compose))
            continue
        for group in state.get("experiments") or []:
            tip = group["revs"][0]
            name = group.get("name") or tip.get("name") or tip["rev"][:7]
            found.append(_row(tip, name, state, compose, group.get("executor") or {}))
        found.append(_row(state, _name(state), None, compose))
    return found


def _row(
    state: Mapping[str, Any],
    name: str,
    base: Mapping[str, Any] | None,
    compose: Compose,
    executor: Mapping[str, Any] | None = None,
) -> Experiment:
    """``base`` is the state of the commit it was started from; a commit has none."""
    error = (state.get("error") or {}).get("msg", "")
    said = (executor or {}).get("state") or ""
    status = FAILED if error and said in ("", SUCCESS) else said.replace(SUCCESS, DONE) or DONE
    settings = _content(state, "params", SETTINGS)
    models = tuple(settings.get("models", {}))
    return Experiment(
        name,
        "" if state["rev"] == WORKSPACE else state["rev"],
        _name(base) if base else "",
        status,
        " ".join(error.split()),
        _time((state.get("data") or {}).get("timestamp")),
        models,
        _headline(models, settings),
        # what is not done still has the numbers of the commit
        _content(state, "metrics", NUMBERS) if status == DONE else {},
        tuple(differing(_content(base, "params", SETTINGS), settings, compose))
        if base and settings
        else (),
    )


def _name(state: Mapping[str, Any]) -> str:
    return state.get("name") or state.get("rev", "")[:7]


def _content(state: Mapping[str, Any], kind: str, path: str) -> Mapping[str, Any]:
    files = (state.get("data") or {}).get(kind) or {}
    return (files.get(path) or {}).get("data") or {}


def _time(said: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(said) if isinstance(said, str) else said


def _headline(models: Sequence[str], settings: Settings) -> str:
    try:  # settings of another version may name one that it does not have
        return headline_of(list(models), settings.get("headline", "")) if models else ""
    except UserError:
        return ""


def differing(old: Settings, new: Settings, compose: Compose) -> Iterator[str]:
    """What was set to come from ``old`` to ``new``, as ``-S`` takes it.

    Where another model or data set was chosen, that is one item: what the choice itself changes
    does not follow. Nor do settings that only repeat another.

    Examples
    --------
    >>> old, new = {"model": "vit", "train": {"seed": 0}}, {"model": "swin", "train": {"seed": 1}}
    >>> list(differing(old, new, lambda choices: None))
    ['model=swin', 'train.seed=1']
    """
    before, after = _choices(old), _choices(new)
    made = compose(after)
    chosen = [name for name in after if before.get(name) != after[name]]
    yield from (f"{name}={after[name]}" for name in chosen)
    named = {CHOICES[name] for name in chosen}
    usual = compose(before) if chosen else None
    if made is None or usual is None:
        found = changes(old, new)
    else:
        found = _beyond(changes(usual.settings, old), changes(made.settings, new), new)
    derived = frozenset() if made is None else made.derived
    found = [change for change in found if change.key not in named]
    values = [change.new for change in found if change.key not in derived]
    yield from (_as_set(c) for c in found if c.key not in derived or c.new not in values)


def _beyond(old: Sequence[Change], new: Sequence[Change], settings: Settings) -> list[Change]:
    """What was set beside a choice: changes to what the choice gives, that are not ``old``; and
    what was set before and is in ``settings`` as the choice gives it."""
    was = {change.key: change.new for change in old}
    found = [change for change in new if was.get(change.key, ABSENT) != change.new]
    still = {change.key for change in new}
    undone = [Change(c.key, c.new, c.old) for c in old if c.key not in still]
    return found + [c for c in undone if c.new is not ABSENT and _at(settings, c.key) == c.new]


def _at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part, ABSENT) if isinstance(settings, Mapping) else ABSENT
    return settings


def _choices(settings: Settings) -> dict[str, str]:
    found = {}
    for name, key in CHOICES.items():
        value = _at(settings, key)
        if isinstance(value, str):
            found[name] = value
    return found


def _as_set(change: Change) -> str:
    if change.new is ABSENT:
        return f"~{change.key}"
    sign = "+" if change.old is ABSENT else ""
    if isinstance(change.new, Mapping):
        return f"{sign}{change.key}"
    if isinstance(change.new, list):
        return f"{sign}{change.key}=[{','.join(map(in_words, change.new))}]"
    return f"{sign}{change.key}={in_words(change.new)}"


def last(found: Sequence[Experiment], number: int | None) -> list[Experiment]:
    """The newest experiments, at most so many (None: all), with the workspace and the commits that
    they were started from; without experiments the workspace and the last commit."""
    tried = [one for one in found if one.base and one.name != WORKSPACE]
    kept = sorted(tried, key=_newest, reverse=True)[:number]
    bases = {one.base for one in kept} | {one.base for one in found if one.name == WORKSPACE}
    return [one for one in found if one in kept or one.name == WORKSPACE or one.name in bases]


def ordered(found: Sequence[Experiment], by: str) -> list[Experiment]:
    """Sorted by ``when`` (the workspace, then the newest first), ``name``, or a number of
    ``SORTED_BY`` (the largest first, those without it last).

    Raises
    ------
    UserError : there is no such column.

    Examples
    --------
    >>> rows = [Experiment("a", numbers={"auc": 0.8}), Experiment("b", numbers={"auc": 0.9})]
    >>> [row.name for row in ordered(rows, "auc")]
    ['b', 'a']
    """
    if by == "when":
        return sorted(found, key=_newest, reverse=True)
    if by == "name":
        return sorted(found, key=lambda one: one.name)
    if by not in SORTED_BY:
        columns = ", ".join(("when", "name", *SORTED_BY))
        raise UserError(f"--sort: there is no column {by!r}; choose one of {columns}")
    return sorted(found, key=lambda one: -one.numbers.get(SORTED_BY[by], float("-inf")))


def _newest(one: Experiment) -> tuple[bool, float]:
    return (one.name == WORKSPACE, one.when.timestamp() if one.when else float("inf"))
