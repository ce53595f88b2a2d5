# SPDX-License-Identifier: Apache-2.0
"""``dvc exp show --json`` condensed: which rows, in which order, what differs, at any width."""

import csv
import io
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from facetell.common.errors import UserError
from facetell.report.experiments import Composed, differing, experiments, last, ordered
from facetell.report.experiments_table import COLUMNS, rows, table

NOW = datetime(2026, 5, 4, 12, 0)
MODELS = {"simplenet": {"paper": {}}, "resnet50": {"paper": {}}}
PARAMS = {
    "model": "starter",
    "headline": "resnet50",
    "data": {"name": "demo", "image_size": 64, "sets": {"demo": {"size": 64}}},
    "train": {"seed": 0, "epochs": None},
    "models": MODELS,
}
NUMBERS = {
    "accuracy": 0.871, "auc": 0.9275, "auc_low": 0.9102, "auc_high": 0.9447,
    "perturbed_auc_mean": 0.8578, "perturbed_auc_worst": 0.5992,
}  # fmt: skip


def composed(choices: dict[str, str]) -> Composed | None:
    """What conf/ would give: swin alone, and a data set whose size is that of data.image_size."""
    if choices["model"] == "forgotten":
        return None
    made = PARAMS | {"model": choices["model"]}
    if choices["model"] == "swin":
        made = made | {"models": {"swin": {"paper": {"batch_size": 64}}}}
    name = choices["data"]
    made["data"] = {"name": name, "image_size": 64, "sets": {name: {"size": 64}}}
    return Composed(made, frozenset({f"data.sets.{name}.size"}))


def set_to(**keys) -> dict:
    """``PARAMS`` with some values changed; a double underscore parts the keys."""
    found = {**PARAMS, "data": {**PARAMS["data"]}, "train": {**PARAMS["train"]}}
    for key, value in keys.items():
        *above, name = key.split("__")
        part = found
        for step in above:
            part = part[step]
        part[name] = value
    return found


def state(rev: str, params=PARAMS, numbers=NUMBERS, hours: float | None = 1, **others) -> dict:
    return {
        "rev": rev,
        "name": None,
        "data": {
            "timestamp": None if hours is None else NOW - timedelta(hours=hours),
            "params": {"params.yaml": {"data": params}},
            "metrics": {"metrics/summary.json": {"data": numbers}},
        },
        "error": None,
        "experiments": None,
    } | others


def shown(*tried: dict, **head) -> list[dict]:
    base = state("c" * 40, hours=100, name="main", experiments=list(tried), **head)
    return [state("workspace", hours=None), base]


def tried(name: str, *, said: str | None = None, **found) -> dict:
    executor = None if said is None else {"state": said, "name": "dvc-task", "local": None}
    return {"revs": [state(name[0] * 40, **found)], "executor": executor, "name": name}


def test_every_state_and_only_finished_ones_have_numbers():
    group = [
        tried("plain"), tried("succeeded", said="success"), tried("queued", said="queued"),
        tried("running", said="running"), tried("failed", said="failed"),
    ]  # fmt: skip
    broken = {
        "revs": [{"rev": "b" * 40, "data": None, "error": {"msg": "not\nread"}}],
        "name": None,
    }
    found = experiments(shown(*group, broken), composed)
    states = {one.name: (one.state, bool(one.numbers)) for one in found}
    assert states == {
        "workspace": ("done", True), "plain": ("done", True), "succeeded": ("done", True),
        "queued": ("queued", False), "running": ("running", False), "failed": ("failed", False),
        "bbbbbbb": ("failed", False), "main": ("done", True),
    }  # fmt: skip
    assert {one.error for one in found} == {"", "not read"}
    assert {one.base for one in found if one.name != "main"} == {"main"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (PARAMS, []),
        (set_to(train__seed=1, train__epochs=2), ["train.seed=1", "train.epochs=2"]),
        (set_to(model="swin", models={"swin": {"paper": {"batch_size": 64}}}), ["model=swin"]),
        (set_to(model="swin", models={"swin": {"paper": {"batch_size": 8}}}),
         ["model=swin", "models.swin.paper.batch_size=8"]),
        (set_to(data={"name": "mix", "image_size": 64, "sets": {"mix": {"size": 64}}}),
         ["data=mix"]),
        (set_to(data__image_size=32, data__sets={"demo": {"size": 32}}), ["data.image_size=32"]),
        (set_to(data__sets={"demo": {"size": 16}}), ["data.sets.demo.size=16"]),
        (set_to(data__train_on=["a", "b"]), ["+data.train_on=[a,b]"]),
        (set_to(model="forgotten", models={}), ["model=forgotten", "~models.simplenet",
                                                "~models.resnet50"]),
    ],
)  # fmt: skip
def test_what_differs_is_what_would_be_set(params, said):
    assert sorted(differing(PARAMS, params, composed)) == sorted(said)


def test_an_override_beside_a_choice_is_kept():
    new = set_to(model="swin", models={"swin": {"paper": {"batch_size": 64}}}, train__seed=7)
    assert list(differing(PARAMS, new, composed)) == ["model=swin", "train.seed=7"]
    assert list(differing(set_to(train__seed=7), new, composed)) == ["model=swin"]
    assert list(differing(new, PARAMS, composed)) == ["model=starter", "train.seed=0"]


def test_the_newest_and_the_commits_they_come_from():
    old = state("d" * 40, hours=300, experiments=[tried("ancient", hours=200)])
    states = [*shown(tried("early", hours=9), tried("late", hours=2)), old]
    found = experiments(states, composed)
    assert [one.name for one in last(found, 1)] == ["workspace", "late", "main"]
    assert [one.name for one in last(found, None)] == [
        "workspace", "early", "late", "main", "ancient", "ddddddd",
    ]  # fmt: skip
    assert [one.name for one in ordered(last(found, 2), "when")] == [
        "workspace", "late", "early", "main",
    ]  # fmt: skip
    assert [one.name for one in last(experiments(shown(), composed), 10)] == ["workspace", "main"]


def test_sorting_by_a_number_puts_the_best_first_and_what_has_none_last():
    group = [tried("good", numbers=NUMBERS | {"auc": 0.99}), tried("queued", said="queued")]
    found = experiments(shown(*group), composed)
    assert [one.name for one in ordered(found, "auc")] == ["good", "workspace", "main", "queued"]
    with pytest.raises(UserError, match="no column 'rocauc'; choose one of when, name, auc"):
        ordered(found, "rocauc")


def drawn(width: int, *group: dict) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    found = experiments(shown(*group), composed)
    console.print(table(found, width, NOW))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_a_terminal_of_80_columns_has_every_number_and_what_differs():
    params = set_to(model="swin", models={"swin": {"paper": {"batch_size": 64}}}, train__seed=7)
    text = drawn(80, tried("puffy-dags", params=params), tried("broken-name", said="failed"))
    row = next(line for line in text.splitlines() if line.startswith(" puffy-dags"))
    assert row.split() == [
        "puffy-dags", "1", "h", "swin", "0.927", "[0.910,", "0.945]", "0.871", "0.858", "0.599",
    ]  # fmt: skip
    assert "puffy-dags: model=swin train.seed=7" in text
    assert "broken-name: failed" in text
    assert "dvc queue logs broken-name" in text


def test_a_wide_terminal_has_what_differs_in_the_row():
    keys = {f"key{number}": number for number in range(9)}
    text = drawn(160, tried("puffy-dags", params=PARAMS | keys))
    row = next(line for line in text.splitlines() if "puffy-dags" in line)
    assert "resnet50 +1" in row
    assert "+key0=0 +key1=1 +key2=2 +key3=3 +5 more" in row


def test_csv_has_all_columns_and_no_made_up_numbers():
    found = experiments(shown(tried("queued", said="queued"), tried("puffy")), composed)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows(found))
    read = {row["name"]: row for row in csv.DictReader(io.StringIO(stream.getvalue()))}
    assert read["queued"]["auc"] == ""
    assert read["puffy"]["auc_low"] == "0.9102"
    assert read["puffy"]["models"] == "simplenet resnet50"
    assert read["puffy"]["when"] == "2026-05-04T11:00:00"
