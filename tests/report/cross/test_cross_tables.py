# SPDX-License-Identifier: Apache-2.0
"""Cross tables: what may stand in one, how it reads, and the command in a throw-away clone."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from support import ROOT
from support.clones import TINY, call, tiny_clone

from facetell.common.errors import UserError
from facetell.evaluation.model_scores import model_scores
from facetell.evaluation.predictions import Predictions, table
from facetell.metrics import intervals
from facetell.metrics.intervals import wilson, wilson_average
from facetell.report import published
from facetell.report.cross.report import cross_report
from facetell.report.cross.runs import Run, trained_on
from facetell.report.cross.tables import long_form, printed, tables, unused
from pipeline import cross, paths

PLATFORMS = ("facebook", "presocial", "telegram", "twitter")
SETS = {"demo": {"use": "all", "layout": "folder"}, "own": {"use": "all", "layout": "folder"}}


def numbers(accuracy: float, n: int = 40) -> dict:
    bounds = {"accuracy": [accuracy - 0.1, accuracy + 0.1], "auc": [0.5, 0.75]}
    found = {"n": n, "n_real": n // 2, "n_fake": n - n // 2, "accuracy": accuracy, "auc": 0.625}
    return found | {"accuracy_fake": 0.25, "interval": bounds}


def run(train_on="combined", accuracy: float = 0.5, *, name: str = "", **changes) -> Run:
    """A run on four platforms and two sets."""
    sets = changes.pop("sets", SETS)
    scores = {
        "clean": numbers(accuracy, 160),
        "platforms": {platform: numbers(accuracy) for platform in PLATFORMS},
        "platform_average": {"n": 4, "accuracy": accuracy, "auc": 0.625,
                             "interval": {"accuracy": [0.4, 0.6], "auc": [0.6, 0.65]}},
        "sets": {set_: numbers(accuracy, 80) for set_ in sets if sets[set_]["use"] != "train"},
        "generators": {"stylegan": numbers(accuracy), "stylegan2": numbers(accuracy)},
        "psis": {"0.5": numbers(accuracy)},
        "training": {"recipe": {"optimizer": "adamw", "epochs": 3, "image_size": 64}},
    }  # fmt: skip
    data = {"data.name": "trueface", "data.sets": sets, "data.train_on": train_on}
    data["data.launder"] = None
    made_by = {"archives": "a", "code": "c", "recipe": {"train.seed": 0}}
    given = Run("resnet50", data, made_by, scores, name or str(train_on), "0123456")
    return replace(given, **changes)


def rows(found) -> list[str]:
    return [trained_on(row) for row in found.runs]


def test_published_averages_are_those_of_their_rows():
    for row in published.CROSS["telegram"]:
        of_platforms = [row.values[name] for name in published.TESTED[:4]]
        for name, off in (("overall", 0.1), ("average", 0.0101)):
            if name in row.values:
                assert row.values[name] == pytest.approx(np.mean(of_platforms), abs=off)
    assert {name: len(rows) for name, rows in published.CROSS.items()} == {
        "presocial": 5, "combined": 5, "telegram": 7, "twitter": 5, "facebook": 5
    }  # fmt: skip


@pytest.mark.parametrize(
    ("train_on", "uses", "said"),
    [
        ("combined", "all all", "combined"),
        (["combined", "facebook"], "all all", "combined"),
        ("facebook", "all all", "facebook"),
        (["twitter", "presocial"], "all all", "presocial + twitter"),
        ("own", "all all", "own"),
        (["own", "demo"], "all all", "combined"),
        ("combined", "train test", "demo"),
        (["own", "facebook"], "all all", "own, facebook"),
        ("facebook", "test all", "own, facebook"),
        ("whatsapp", "all all", "whatsapp"),  # of which there are no test images
    ],
)
def test_what_was_trained_on_is_said_in_a_few_words(train_on, uses, said):
    sets = {name: SETS[name] | {"use": use} for name, use in zip(SETS, uses.split(), strict=True)}
    assert trained_on(run(train_on, sets=sets)) == said


def test_rows_differ_in_what_was_trained_on_and_in_nothing_else():
    alike = [run(), run("facebook"), run("telegram"), run("presocial")]
    other = run("twitter")
    fewer = run("twitter").scores | {"platforms": {name: numbers(0.5, 38) for name in PLATFORMS}}
    odd = [
        run("twitter", model="vgg19"),
        replace(other, data=other.data | {"data.launder": ["facebook"]}),
        replace(other, scores=fewer),
        *(replace(other, made_by=other.made_by | {name: "b"}) for name in other.made_by),
    ]
    (found,) = tables([*odd, *alike], "platforms")
    assert rows(found) == ["combined", "presocial", "telegram", "facebook"]
    assert found.parts == ["presocial", "telegram", "twitter", "facebook"]
    assert unused([*odd, *alike], [found]) == odd
    two = tables([*odd, *alike, replace(odd[0], data=run("facebook").data)], "platforms")
    assert [(table.model, rows(table)) for table in two] == [
        ("resnet50", rows(found)),
        ("vgg19", ["twitter", "facebook"]),
    ]


def test_a_table_needs_two_rows_two_columns_and_the_parts_that_it_is_about():
    assert tables([run("facebook")], "platforms") == []
    assert tables([run(), run("facebook")], "sets") == []
    assert tables([run(), run("own")], "platforms") == []
    assert tables([run(), run("own")], "psis") == []
    assert [rows(table) for table in tables([run("own"), run()], "generators")] == [
        ["combined", "own"]
    ]


def test_of_two_runs_that_say_the_same_the_first_counts():
    found = [run("facebook", 0.6, name="new"), run(), run("facebook", 0.5, name="old")]
    (table,) = tables(found, "platforms")
    assert [row.experiment for row in table.runs] == ["combined", "new"]
    assert [row.experiment for row in unused(found, [table])] == ["old"]


def test_sets_may_be_chosen_by_use_and_a_row_tested_on_more_is_preferred():
    def uses(demo: str, own: str, name: str) -> Run:
        sets = {"demo": SETS["demo"] | {"use": demo}, "own": SETS["own"] | {"use": own}}
        return run(sets=sets, name=name)

    runs = [uses("train", "test", "a"), uses("all", "test", "b"), uses("test", "train", "c")]
    (table,) = tables(runs, "sets")
    assert rows(table) == ["demo", "own"]
    assert [row.experiment for row in table.runs] == ["b", "c"]
    report = cross_report({"sets": [table]})
    assert "| own | 50.00 [40.00, 60.00] | – |" in report
    assert long_form([table]).query("trained_on == 'own'")["n_real"].isna().tolist() == [
        False,
        True,
    ]


def test_report_reads_ours_beside_theirs():
    runs = [run(), run("telegram", 0.75, images=1200), run("facebook", 0.875)]
    for given in runs:
        given.scores["psis"]["1"] = numbers(0.5, 41)
    made = {kind: tables(runs, kind) for kind in ("platforms", "sets", "generators", "psis")}
    text = cross_report(made, ["`swin` of HEAD: it was not scored"])
    for words in (
        "| trained on \\ tested on | training images | presocial (n = 40) | telegram (n = 40) | "
        "twitter (n = 40) | facebook (n = 40) | overall (n = 160) | average |",
        "| telegram | 1,200 | 75.00 [65.00, 85.00] / 96.68 | 75.00 [65.00, 85.00] / 96.43 |",
        "75.00 [65.00, 85.00] / 97.65 | 75.00 [40.00, 60.00] |",
        "| combined | – | 50.00 [40.00, 60.00] / 97.90 |",
        "| 0.625 [0.500, 0.750] | 0.625 [0.600, 0.650] |",
        "| 1 | 21 | 0.625 [0.500, 0.750] (0.250) |",
        "All copies of a face, on every platform and in every set, are on the same side of the",
        "The study does not say how it split",
        "combined = combined (0123456), telegram = telegram (0123456)",
        "- `swin` of HEAD: it was not scored",
    ):
        assert words in text
    assert "rendered" not in text
    assert not re.search(r"\bnan\b|None|<NA>", text)
    assert [len(made[kind]) for kind in made] == [1, 0, 1, 1]
    assert printed(made["psis"][0], runs[1]) == {}


@pytest.mark.parametrize(
    ("layouts", "said"),
    [
        ({"demo": {"layout": "folder"}}, ""),
        ({"own": {"layout": "demo"}}, "The images of `own` are **rendered, not photos**."),
        ({"demo": {"layout": "folder", "render": {"seed": 1}}},
         "The images of `demo` are **rendered, not photos**."),
        ({name: {"layout": "demo", "render": None} for name in SETS},
         "All images are **rendered, not photos**."),
    ],
)  # fmt: skip
def test_whether_images_are_rendered_is_told_by_their_sets_not_by_names(layouts, said):
    sets = {name: SETS[name] | layouts.get(name, {}) for name in SETS}
    sets["demo"] |= {"comment": "render"}
    made = {"platforms": tables([run(sets=sets), run("telegram", sets=sets)], "platforms")}
    text = cross_report(made)
    assert ("rendered" in text) == bool(said)
    assert said in text


def test_the_level_of_the_intervals_is_that_of_the_code(monkeypatch):
    made = {"platforms": tables([run(), run("telegram")], "platforms")}
    assert "Square brackets hold 95% intervals" in cross_report(made)
    monkeypatch.setattr(intervals, "LEVEL", 0.9)
    assert "Square brackets hold 90% intervals" in cross_report(made)


def test_what_was_done_to_the_images_is_said():
    runs = [run(), run("telegram")]
    for given in runs:
        given.data["data.launder"] = ["presocial", "facebook", "telegram"]
        given.data["data.harmonise"] = True
    text = cross_report({"platforms": tables(runs, "platforms")})
    assert (
        "All rows share: adamw; 3 epochs; 64 px; seed 0; pre-social images put through facebook, "
        "telegram and also kept as they are; all images re-encoded in one way." in text
    )


def test_lines_of_the_csv_are_cells():
    found = long_form(tables([run(), run("telegram", 0.75)], "platforms"))
    assert len(found) == 2 * 6
    cell = found.query("trained_on == 'telegram' and tested_on == 'overall'").iloc[0]
    assert (cell["accuracy"], cell["accuracy_low"], cell["n_real"]) == (0.75, 0.65, 80)
    assert cell["accuracy_published"] == pytest.approx(0.9765)
    assert found.query("tested_on == 'average'")["accuracy_published"].isna().all()


def test_interval_of_an_average_counts_a_person_once():
    random = np.random.default_rng(2)
    right, person = random.random(80) < 0.7, np.arange(80) // 2
    alone = wilson(right, person)
    assert wilson_average(right, np.zeros(80), person) == pytest.approx(alone)
    twice = np.tile(right, 2), np.repeat(["a", "b"], 80)
    assert wilson_average(*twice, np.tile(person, 2)) == pytest.approx(alone)
    others = wilson_average(*twice, np.concatenate([person, person + 40]))
    assert others == pytest.approx(wilson(twice[0], np.arange(160) // 2))
    # of parts of unlike size, the variance of the mean is the mean of the parts' variances / 2
    right, part = np.repeat([True, False] * 2, [60, 20, 10, 10]), np.repeat([0, 1], [80, 20])
    low, high = wilson_average(right, part, np.arange(100))
    number = 0.625 * 0.375 / ((0.75 * 0.25 / 80 + 0.5 * 0.5 / 20) / 4)
    centre = (0.625 + 1.959964**2 / (2 * number)) / (1 + 1.959964**2 / number)
    assert (low + high) / 2 == pytest.approx(centre)
    assert wilson_average(np.ones(20), np.arange(20) % 2, np.arange(20) // 2) == pytest.approx(
        wilson(np.ones(10), np.arange(10))
    )


def test_average_over_platforms_comes_from_the_same_draws():
    """Each face is on both platforms with the same margin: the average is that of one platform."""
    random = np.random.default_rng(1)
    faces = 60
    labels = np.tile(np.arange(faces) % 2, 2)
    margins = np.tile(random.normal(size=faces) + labels[:faces], 2)
    platforms = np.repeat(["presocial", "facebook"], faces)
    manifest = pd.DataFrame({"id": [f"i{k}" for k in range(2 * faces)], "split": "test"})
    manifest = manifest.assign(label=labels, platform=platforms, set="s", psi=np.nan)
    manifest = manifest.assign(person=np.tile(np.arange(faces).astype(str), 2), artefacts="")
    manifest = manifest.assign(generator=np.where(labels == 1, "g", ""))
    ids = manifest["id"].tolist()
    valid = table("valid", ids, labels, {"clean": margins})
    scored = pd.concat([table("test", ids, labels, {"clean": margins}), valid])
    found = model_scores(Predictions(scored, 0.25, {}), manifest, resamples=300, seed=0)
    average, one = found["platform_average"], found["platforms"]["facebook"]
    assert average["n"] == 2
    for name in ("accuracy", "auc"):
        assert average[name] == pytest.approx(one[name])
        assert average["interval"][name] == pytest.approx(one["interval"][name])


def revision(**changes) -> tuple[dict[str, bytes], dict]:
    """Files and dvc.lock of an experiment of one stage after the other."""
    scores = json.dumps(run().scores).encode()
    audit = json.dumps({"counts": {"train": {"real": 7, "fake": 8}}}).encode()
    md5 = {"metrics/models/resnet50.json": scores, "metrics/data.json": audit}
    md5 = {path: hashlib.md5(content).hexdigest() for path, content in md5.items()}
    md5 |= {"data/raw/trueface": "r", "data/manifest": "m", "models/resnet50.json": "w"}

    def stage(*outs: str, deps: tuple[str, ...] = (), **params) -> dict:
        return {
            "deps": [{"path": path, "md5": md5.get(path, path)} for path in deps],
            "outs": [{"path": path, "md5": changes.get(path, md5[path])} for path in outs],
            "params": {"params.yaml": {key.replace("__", "."): v for key, v in params.items()}},
        }

    split = {name.replace(".", "__"): value for name, value in run("facebook").data.items()}
    stages = {
        "fetch": stage("data/raw/trueface"),
        "split": stage("data/manifest", deps=("data/raw/trueface",), **split),
        "train@resnet50": stage(
            "models/resnet50.json", deps=("data/manifest",
            "src/facetell/training/trainer.py"), train__seed=3, data__recipe="quick",
        ),
        "score@resnet50": stage(
            "metrics/models/resnet50.json", deps=("models/resnet50.json",), train__seed=3,
            score__resamples=1000,
        ),
        "audit": stage("metrics/data.json", deps=("data/manifest",)),
    }  # fmt: skip
    files = {
        # changed since; it is dvc.lock that counts
        "params.yaml": yaml.safe_dump(
            {"models": {"resnet50": {}, "swin": {}}, "data": {"train_on": "twitter"}}
        ).encode(),
        "dvc.lock": yaml.safe_dump({"stages": stages}).encode(),
        "metrics/models/resnet50.json": scores,
        "metrics/data.json": audit,
    }
    return files, stages


def collected(files: dict[str, bytes]) -> dict[str, Run | str]:
    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return dict(cross.runs(cross.Experiment("exp", "0123456", read)))


def test_what_a_number_was_made_with_is_read_from_the_lock():
    files, _ = revision()
    found = collected(files)
    result = found["resnet50"]
    assert isinstance(result, Run)
    assert trained_on(result) == "facebook"
    assert result.images == 15
    assert result.made_by["archives"] == "r"
    assert result.made_by["recipe"] == {"train.seed": 3, "data.recipe": "quick"}
    assert found["swin"] == "it was not scored"
    assert set(found) == {"resnet50", "swin"}, "the baseline is left out in silence"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("data/raw/trueface", "data/raw/trueface is not what its stage wrote last"),
        ("data/manifest", "data/manifest is not"),
        ("metrics/models/resnet50.json", "metrics/models/resnet50.json is not"),
    ],
)
def test_results_of_other_data_are_refused(path, says):
    files, _ = revision(**{path: "of another run"})
    assert str(collected(files)["resnet50"]).startswith(says)


def test_an_audit_of_other_data_does_not_tell_the_number_of_images():
    files, _ = revision(**{"metrics/data.json": "of another run"})
    result = collected(files)["resnet50"]
    assert isinstance(result, Run)
    assert result.images is None


def test_older_scores_and_a_missing_lock_are_said():
    files, stages = revision()
    old = b'{"clean": {}}'
    stages["score@resnet50"]["outs"][0]["md5"] = hashlib.md5(old).hexdigest()
    files |= {"metrics/models/resnet50.json": old}
    files |= {"dvc.lock": yaml.safe_dump({"stages": stages}).encode()}
    assert "older version, without generators" in str(collected(files)["resnet50"])
    del files["dvc.lock"]
    assert collected(files) == {"all": "there is no dvc.lock"}


def test_stale_tables_go_and_nothing_is_an_error_with_the_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cross, "experiments", lambda commits: iter(()))
    with pytest.raises(UserError, match="make such results by:\n  dvc exp run --queue") as error:
        cross.main()
    assert cross.SWEEP in str(error.value)
    (tmp_path / paths.CROSS).mkdir(parents=True)
    (tmp_path / paths.CROSS / "psis.csv").write_text("of another sweep")
    cross.write({"platforms": tables([run(), run("telegram")], "platforms"), "psis": []}, [])
    written = {path.name for path in (tmp_path / paths.CROSS).iterdir()}
    assert written == {"platforms.csv", "cross.md"}


def test_the_manual_has_the_sweep():
    page = (ROOT / "docs/cross-tables.md").read_text(encoding="utf-8")
    assert cross.SWEEP.replace(" && ", "\n") in page


@pytest.mark.contract
def test_the_sweep_of_the_embedded_set_fills_the_tables(tmp_path):
    home = tiny_clone(tmp_path / "clone")
    said = call(home, "python", "-m", "pipeline.cross", fails=True)
    assert cross.SWEEP in said
    assert "Traceback" not in said
    # only up to the scores: the sweep of the manual goes on to explanations and the report
    call(home, "dvc", "exp", "run", "--queue", "-S", "model=simplenet", "-S",
         "data.launder=[presocial,facebook,telegram,twitter]", "-S",
         "data.train_on=combined,telegram", "score")  # fmt: skip
    call(home, "dvc", "exp", "run", "--run-all")
    said = call(home, "python", "-m", "pipeline.cross")
    assert "2 tables of 2 trained detectors" in said
    found = pd.read_csv(home / "metrics/cross/platforms.csv")
    assert found["trained_on"].unique().tolist() == ["combined", "telegram"]
    assert found["tested_on"].unique().tolist() == [*published.TESTED]
    for (revision, part), cell in found.groupby(["revision", "tested_on"]):
        file = call(home, "git", "show", f"{revision}:metrics/models/simplenet.json")
        scores = json.loads(file)
        named = {"overall": scores["clean"], "average": scores["platform_average"]}
        for name in ("accuracy", "auc"):
            expected = (scores["platforms"] | named)[part][name]
            assert cell[name].item() == pytest.approx(expected, rel=1e-5)
        low, high = cell["accuracy_low"].item(), cell["accuracy_high"].item()
        assert low < cell["accuracy"].item() < high
    settings = [
        yaml.safe_load(call(home, "git", "show", f"{revision}:params.yaml"))["data"]["train_on"]
        for revision in found["revision"].unique()
    ]
    assert settings == ["combined", "telegram"]
    generators = pd.read_csv(home / "metrics/cross/generators.csv")
    assert {"inpainter", "swapper", "upsampler"} <= set(generators["tested_on"])
    assert "| telegram |" in (home / "metrics/cross/cross.md").read_text()
    sizes = [part for key in ("train", "valid", "test")
             for part in ("-S", f"data.fetch.{key}={TINY[key]}")]  # fmt: skip
    call(home, "dvc", "exp", "run", "--queue", "-S", "model=simplenet", "-S", "data=demo_sets",
         *sizes, "-S", "data.train_on=demo,demo_subtle", "score")  # fmt: skip
    call(home, "dvc", "exp", "run", "--run-all")
    call(home, "python", "-m", "pipeline.cross")
    found = pd.read_csv(home / "metrics/cross/sets.csv")
    assert found[["trained_on", "tested_on"]].values.tolist() == [
        [first, second] for first in ("demo", "demo_subtle") for second in ("demo", "demo_subtle")
    ]
    assert found["accuracy"].between(0, 1).all()
    assert found.query("tested_on == 'demo_subtle'")["n_fake"].tolist() == [12, 12]
    assert (home / "metrics/cross/platforms.csv").exists(), "tables of the first sweep stay"
