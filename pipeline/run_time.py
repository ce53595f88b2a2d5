# SPDX-License-Identifier: Apache-2.0
"""How long a run of all stages takes here: from what each stage took before, on this machine.

Each stage that dvc runs notes its seconds in ``$XDG_CACHE_HOME/facetell/seconds.json``
(``~/.cache`` if unset), under its name and a digest of the parameters that make its work. The first
stage of a run, and each training, say how long all that may follow takes together. What has not run
here yet is estimated from the committed results of the same models, scaled by how fast this machine
has trained what it did train.
"""

import hashlib
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from facetell.common.errors import UserError
from facetell.common.files import cached, read_json, write_json
from facetell.common.progress import STEP, in_words, to_stderr
from pipeline import paths
from pipeline.settings import Settings

FIRST = ("fetch", "split", "pack", "audit", "baseline", "predict spectral", "score spectral")
PER_MODEL = ("train", "predict", "score", "explain")
LAST = ("compare", "report")
SHARED = ("audit", "train", "predict", "explain")  # by as many processes as the settings say
KEPT = 400  # notes; the oldest go
SHOWN = 3  # stages of unknown length that are named
RUNS = 20  # of dvc, of which what is done is remembered
START = 8.0  # seconds: of Python and torch, and of the figures of a stage
EXPLAINED = 12  # cost of explaining an image over that of scoring it
Seconds = dict[str, float]
Committed = Mapping[str, Mapping[str, Any]]  # training of metrics/models/<model>.json by model


@contextmanager
def noted(arguments: Sequence[str]) -> Iterator[None]:
    """Around a stage of the pipeline that dvc has started: say what is to come, note what it took.

    ``arguments`` name the stage and what it is of. Nothing of this may stop a stage.
    """
    name = " ".join(arguments)
    run = _dvc()
    known = run and arguments and arguments[0] in {*FIRST, *PER_MODEL, *LAST}
    if not run or not known:
        yield
        return
    with suppress(OSError, ValueError, KeyError, TypeError, Timeout, UserError):
        _announce(name, run)
    begun = time.monotonic()
    yield
    with suppress(OSError, ValueError, KeyError, TypeError, Timeout, UserError):
        _note(name, run, time.monotonic() - begun)


@dataclass(frozen=True)
class Plan:
    """The stages of a run in their order, and what is known of the time that they take.

    settings : the parameters. notes : seconds by key (``key``). committed : what the models of the
    last commit cost. sizes : images by split; empty where that is not known yet.

    >>> plan = Plan(Settings.load(), {}, {}, {})
    >>> plan.stages()[-1], plan.seconds("fetch") is None
    ('report', True)
    """

    settings: Settings
    notes: Seconds
    committed: Committed
    sizes: Mapping[str, int]

    def stages(self) -> list[str]:
        """Names of all, such as ``train swin``."""
        of_models = [f"{stage} {model}" for stage in PER_MODEL for model in self.settings.models]
        return [*FIRST, *of_models, *LAST]

    def key(self, stage: str) -> str:
        """The name of a stage with a digest of what its work follows from."""
        settings = self.settings
        kind, _, model = stage.partition(" ")
        work: list[Any] = [settings.data.model_dump()]
        if kind in SHARED:
            work.append(settings.processes)
        if model in settings.models:
            work += [settings.network(model), settings.recipe(model)]
        if kind == "predict":
            work.append(settings.predict.suites.get(settings.data.suite))
        if kind == "explain":
            work.append(settings.explain.chosen.model_dump())
        if kind in ("score", "compare"):
            work += [settings.score.resamples, list(settings.models)]
        if kind in ("explain", "report"):
            work += [settings.report.images, list(settings.models) if kind == "report" else []]
        text = json.dumps(work, sort_keys=True, default=str)
        return f"{stage} {hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def seconds(self, stage: str) -> float | None:
        """What a stage takes here; None if nothing says."""
        if (known := self.notes.get(self.key(stage))) is not None:
            return known
        kind, _, model = stage.partition(" ")
        if kind not in PER_MODEL or model not in self.settings.models:
            return None if kind == "fetch" else START
        training = self._training(model)
        if kind == "train" or training is None:
            return training
        if kind == "score":
            return START
        if not self.sizes:
            return None
        epochs = self.settings.recipe(model)["epochs"]
        scored = self.sizes["valid"] + self.sizes["test"]
        unit = training / (epochs * (STEP * self.sizes["train"] + scored))
        versions = 30 if kind == "predict" else EXPLAINED
        return START + unit * versions * self.sizes["test"]

    def together(self, stages: Sequence[str]) -> tuple[float, list[str]]:
        """Seconds of all stages that are known, and the names of those that are not."""
        found = {stage: self.seconds(stage) for stage in stages}
        unknown = [stage for stage, seconds in found.items() if seconds is None]
        return sum(seconds for seconds in found.values() if seconds is not None), unknown

    def _training(self, model: str) -> float | None:
        if (known := self.notes.get(self.key(f"train {model}"))) is not None:
            return known
        cost = self._committed(model)
        return None if cost is None else START + self._slower() * cost

    def _committed(self, model: str) -> float | None:
        """Seconds of the committed training, if it was by the same recipe."""
        found = self.committed.get(model)
        if found is None or not found["cost"].get("seconds"):
            return None
        recipe = self.settings.recipe(model)
        # a size of null is that of the weights, which the same model had
        wanted = {name: recipe[name] for name in ("epochs", "image_size")}
        same = all(value in (None, found["recipe"].get(name)) for name, value in wanted.items())
        return float(found["cost"]["seconds"]) if same else None

    def _slower(self) -> float:
        """How many times as long as there this machine has trained; 1 if it has not yet."""
        pairs = [
            (self.notes.get(self.key(f"train {model}")), self._committed(model))
            for model in self.settings.models
        ]
        ratios = [note / cost for note, cost in pairs if note and cost]
        return statistics.median(ratios) if ratios else 1.0


def announcement(plan: Plan, stage: str, done: Sequence[str]) -> str | None:
    """What is said before ``stage``, when ``done`` have been run by the same dvc: what all that may
    follow takes together. None where it goes without saying.

    dvc leaves out what has not changed, so that less may follow than is named here.
    """
    first = not done
    if not first and not stage.startswith("train "):
        return None
    stages = plan.stages()
    kinds = list(dict.fromkeys(_kind(name) for name in stages))
    start = kinds.index(_kind(stage))
    left = [name for name in stages if kinds.index(_kind(name)) >= start and name not in done]
    seconds, unknown = plan.together(left)
    known = len(left) - len(unknown)
    if not known or seconds < 2 * START:
        return None
    said = f"facetell: {len(left)} stages to the report, if all have to run: "
    if not unknown:
        return f"{said}about {in_words(seconds)}"
    shown = ", ".join(unknown[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
    return f"{said}{in_words(seconds)} and what {shown} will take, which is not known yet"


def _kind(stage: str) -> str:
    """``train`` of all models is of one kind; what comes before them is each its own."""
    return stage if stage in FIRST else stage.split(" ")[0]


def _announce(name: str, run: str) -> None:
    content = _read()
    done = content["runs"].get(run, [])
    settings = Settings.load()
    plan = Plan(settings, content["seconds"], _committed_costs(settings), _sizes(settings))
    if line := announcement(plan, name, done):
        to_stderr(line)


def _note(name: str, run: str, seconds: float) -> None:
    """Keep the seconds of a stage, and that this run has done it."""
    file = cached("seconds.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    plan = Plan(Settings.load(), {}, {}, {})
    with FileLock(file.with_suffix(".lock"), timeout=5):  # queued runs go side by side
        content = _read()
        notes, runs = content["seconds"], content["runs"]
        notes.pop(plan.key(name), None)
        notes[plan.key(name)] = round(seconds, 1)
        runs[run] = [*runs.pop(run, []), name]
        write_json(file, {"seconds": _last(notes, KEPT), "runs": _last(runs, RUNS)})


def _read() -> dict[str, dict[str, Any]]:
    file = cached("seconds.json")
    return read_json(file) if file.is_file() else {"seconds": {}, "runs": {}}


def _last(items: dict[str, Any], number: int) -> dict[str, Any]:
    return dict(list(items.items())[-number:])


def _dvc() -> str:
    """The dvc that has started this stage, as a name that no other run has; empty without one."""
    if "DVC_STAGE" not in os.environ:
        return ""
    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            if any("dvc" in os.path.basename(part) for part in process.cmdline()[:3]):
                return f"{process.pid} {process.create_time():.0f}"
    return ""


def _committed_costs(settings: Settings) -> Committed:
    """Recipe and cost of each selected model in the last commit; dvc removes the files' own."""
    found = {model: _committed(paths.scores(model)) for model in settings.models}
    return {model: content["training"] for model, content in found.items() if content}


def _sizes(settings: Settings) -> dict[str, int]:
    """Images by split, if the last results are of the same sets."""
    data = _committed(paths.DATA)
    if not data or set(data["sets"]) != set(settings.data.sets):
        return {}
    return {split: sum(counts.values()) for split, counts in data["counts"].items()}


def _committed(path: Path) -> Any:
    show = ["git", "show", f"HEAD:{path.as_posix()}"]
    done = subprocess.run(show, capture_output=True, check=False, encoding="utf-8")
    return json.loads(done.stdout) if done.returncode == 0 else None
