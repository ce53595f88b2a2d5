# SPDX-License-Identifier: Apache-2.0
"""The commands of the README in a throw-away clone, on a tiny configuration.

One clone serves the whole file, in order: each test stands on the state that the last one left.
"""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support import ROOT, folder_entries, photos, picture, separable, write_zip
from support.clones import ENV, TINY, call, commit, read, tiny_clone

from facetell.evaluation.perturbations import suite

pytestmark = pytest.mark.contract

METRICS = "metrics/summary.json"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return tiny_clone(tmp_path_factory.mktemp("contract") / "clone")


def shown(home: Path) -> list[dict[str, str]]:
    table = call(home, "dvc", "exp", "show", "--csv", "-A")
    return list(csv.DictReader(io.StringIO(table[table.index("Experiment") :])))


def test_repro_rebuilds_everything(clone):
    said = call(clone, "dvc", "repro")
    for stage in ("fetch", "split", "pack", "audit", "baseline", "train@swin",
                  "explain@simplenet", "compare", "report"):  # fmt: skip
        assert f"Running stage '{stage}'" in said
    page = clone / "plots/report/index.html"
    assert page.resolve().as_uri() in said.splitlines()
    assert b"swin" in page.read_bytes()
    assert len(read(clone / METRICS)) == 12
    found = read(clone / "metrics/models/swin.json")
    expected = {"accuracy", "accuracy_real", "accuracy_fake", "auc", "ap", "eer", "f1",
                "threshold", "n"}  # fmt: skip
    for numbers in (found["clean"], *found["variants"].values()):
        assert expected <= set(numbers)
    suites = yaml.safe_load((clone / "params.yaml").read_text())["predict"]["suites"]
    assert set(found["variants"]) == {*suite(suites, "quick"), "without_artefacts"}
    for figure in ("explain/swin/gradcam", "explain/swin/saliency", "explain/swin/class_means",
                   "compare/roc", "compare/det", "compare/pr", "compare/reliability",
                   "compare/robustness_auc", "compare/flips", "compare/frequency",
                   "compare/learning", "data/gallery_demo", "data/augmentations_demo",
                   "data/spectrum"):  # fmt: skip
        assert (clone / f"plots/{figure}.png").stat().st_size > 10_000
        if figure.startswith("compare"):
            assert (clone / f"plots/{figure}.pdf").read_bytes().startswith(b"%PDF")
    counts = read(clone / "metrics/data.json")["counts"]
    assert counts["train"] == {"real": 24, "fake": 24}
    assert "Running" not in call(clone, "dvc", "repro")
    commit(clone)


def test_plots_show_the_curves_of_both_models(clone):
    call(clone, "dvc", "plots", "show", "-o", "page")
    page = (clone / "page/index.html").read_text()
    for text in ("simplenet", "swin", "normal deviate", "valid_loss"):
        assert text in page
    shutil.rmtree(clone / "page")


def test_one_model_is_one_row_with_the_same_columns(clone):
    said = call(clone, "dvc", "exp", "run", "-n", "only-swin", "-S", "model=swin",
                "-S", "train.seed=1")  # fmt: skip
    assert "Running stage 'train@swin'" in said
    assert "simplenet" not in said
    rows = {row["Experiment"]: row for row in shown(clone) if row["Experiment"]}
    keys = set(read(clone / METRICS))
    assert all(rows["only-swin"][key] not in ("", "-") for key in keys)
    committed = next(row for row in shown(clone) if row["rev"] in ("master", "main"))
    assert all(committed[key] not in ("", "-") for key in keys)
    swin = read(clone / "metrics/models/swin.json")
    assert read(clone / METRICS)["auc"] == round(swin["clean"]["auc"], 4)


def test_experiments_are_listed_with_what_was_set(clone):
    """dvc lists every parameter and dependency as well, some 240 columns."""
    said = call(clone, sys.executable, "-m", "pipeline.experiments", "--format", "jsonl")
    rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    found = {row["name"]: row for row in rows}
    assert found["only-swin"]["differs"] == ["model=swin", "train.seed=1"]
    assert found["only-swin"]["numbers"] == read(clone / METRICS)


def test_the_workflow_posts_what_changed(clone, tmp_path):
    """Its own scripts, with a stand-in for GitHub's command."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/results.yml").read_text())
    steps = {step.get("name"): step.get("run") for step in workflow["jobs"]["results"]["steps"]}
    posted, summary = tmp_path / "posted", tmp_path / "summary"
    (tmp_path / "gh").write_text(f'#!/bin/sh\necho "$@" > {posted}; cat diff.md >> {posted}\n')
    (tmp_path / "gh").chmod(0o755)
    env = ENV | {"BASE": "HEAD", "PULL_REQUEST": "7", "GITHUB_STEP_SUMMARY": str(summary),
                 "RUN": "https://example.org/runs/9",
                 "PATH": f"{tmp_path}{os.pathsep}{ENV['PATH']}"}  # fmt: skip
    for name in ("report what changed", "post it"):
        done = subprocess.run(["bash", "-e", "-c", steps[name]], cwd=clone, env=env, check=False)
        assert done.returncode == 0, name
    said = posted.read_text()
    assert said.startswith("pr comment 7 ")
    assert "| swin | 0." in said
    assert "`train.seed`: 0 → 1" in said
    assert "[this run](https://example.org/runs/9)" in said
    assert summary.read_text() in said
    (clone / "diff.md").unlink()
    for committed in workflow["jobs"]["committed"]["steps"]:
        steps[committed.get("name")] = committed.get("run")
    assert steps["results are those of this code"] == "dvc repro --dry --allow-missing"
    pinned = [line for line in (ROOT / "requirements.lock").read_text().split("\n")
              if line.startswith("dvc==")]  # fmt: skip
    assert len(pinned) == 1


def test_metrics_diff_reads_the_change(clone):
    changes = json.loads(call(clone, "dvc", "metrics", "diff", "--json"))
    assert set(changes) == {METRICS}
    assert "| Path" in call(clone, "dvc", "metrics", "diff", "--md")
    call(clone, "dvc", "plots", "diff", "HEAD", "-o", "page")
    page = (clone / "page/index.html").read_text()
    assert "simplenet" in page  # of HEAD, beside swin of the workspace
    assert "workspace" in page
    shutil.rmtree(clone / "page")
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout", "-q")


def test_queued_runs_execute_their_own_copy_of_the_library(clone):
    report = clone / "src/facetell/report/detectors.py"
    before = report.read_text()
    report.write_text(before.replace("# Detectors on", "# QUEUED detectors on"))
    call(clone, "dvc", "exp", "run", "--queue", "-S", "model=simplenet,swin")
    report.write_text(before.replace("# Detectors on", "# MAIN detectors on"))
    call(clone, "dvc", "queue", "start")
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        status = call(clone, "dvc", "queue", "status")
        if "Queued" not in status and "Running" not in status:
            break
        time.sleep(2)
    assert status.count("Success") == 2, status
    report.write_text(before)
    names = [line.split()[1] for line in status.splitlines() if "Success" in line]
    reports = [call(clone, "git", "show", f"{revision(clone, n)}:metrics/report.md") for n in names]
    assert all(text.startswith("# QUEUED detectors on") for text in reports)
    models = [set(yaml.safe_load(call(clone, "git", "show", f"{revision(clone, n)}:params.yaml"))
                  ["models"]) for n in names]  # fmt: skip
    assert sorted(map(tuple, models)) == [("simplenet",), ("swin",)]


def revision(home: Path, name: str) -> str:
    row = next(r for r in shown(home) if r["Experiment"] == name)
    rows = call(home, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return next(ref for ref in rows if ref.endswith(f"/{row['Experiment']}"))


def test_push_and_pull_bring_a_clone_to_the_same_state(clone, tmp_path):
    call(clone, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    commit(clone)
    call(clone, "dvc", "push", "-q")
    other = tmp_path / "other"
    call(tmp_path, "git", "clone", "-q", str(clone), str(other))
    call(other, "dvc", "repro", "--dry", "--allow-missing")
    call(other, "dvc", "pull", "-q")
    assert "up to date" in call(other, "dvc", "status")
    assert "Running" not in call(other, "dvc", "repro")
    model = "models/swin.safetensors"
    assert (other / model).read_bytes() == (clone / model).read_bytes()


def test_a_change_of_committed_code_is_noticed(clone, tmp_path):
    other = tmp_path / "other"
    call(tmp_path, "git", "clone", "-q", str(clone), str(other))
    metrics = other / "src/facetell/metrics/evaluate.py"
    metrics.write_text(metrics.read_text() + "\n# changed\n")
    call(other, "dvc", "repro", "--dry", "--allow-missing", fails=True)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("model=resnet51", "simplenet"),
        ("data=kaggle140k", "faces140k"),
        ("train.epoch=2", "epoch"),
    ],
)
def test_wrong_choices_list_the_valid_ones(clone, setting, says):
    before = (clone / "params.yaml").read_bytes()
    assert says in call(clone, "dvc", "exp", "run", "-S", setting, fails=True)
    assert (clone / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["data=folder"], "data.root is not set"),
        (["data=folder", "data.root=nowhere"], "there is no folder"),
        (["data=faces140k", "data.archive=nowhere.zip"], "there is no file"),
    ],
)
def test_stages_stop_with_one_clear_line(clone, settings, says):
    options = [part for setting in settings for part in ("-S", setting)]
    said = call(clone, "dvc", "exp", "run", "-S", "model=simplenet", *options, fails=True)
    assert f"facetell: {says}" in said.replace("data.root: ", "").replace("data.archive: ", "")
    assert "Traceback" not in said
    call(clone, "git", "checkout", "-q", ".")


def test_a_relative_folder_means_the_same_in_a_temporary_run(clone):
    entries = folder_entries({"train": 8, "valid": 4, "test": 4}, separable)
    entries["train/fake/broken.jpg"] = picture()[:300]
    for name, data in entries.items():
        path = clone.parent / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    call(clone, "dvc", "exp", "run", "--temp", "-n", "own", "-S", "model=simplenet",
         "-S", "data=folder", "-S", "data.root=../photos", "-S", "data.recipe=quick")  # fmt: skip
    data = json.loads(call(clone, "git", "show", f"{revision(clone, 'own')}:metrics/data.json"))
    assert data["counts"]["test"] == {"real": 4, "fake": 4}
    reason = "not an image, or of an unknown format"
    assert data["set_aside"] == {"count": 1, "reasons": {reason: 1}}
    aside = call(clone, "git", "show", f"{revision(clone, 'own')}:metrics/set_aside.csv")
    assert f'folder,train/fake/broken.jpg,"{reason} (begins as JPEG' in aside


def test_an_archive_of_photos_goes_through_the_same_pipeline(clone):
    """Laid out as Kaggle's 140k set; a look-alike across its official splits is listed, no leak."""
    count = {"train": 24, "valid": 12, "test": 12}
    archive = write_zip(clone.parent / "140k.zip", photos.kaggle_entries(count))
    call(clone, "dvc", "exp", "run", "--temp", "-n", "real", "-S", "model=simplenet",
         "-S", "data=faces140k", "-S", f"data.archive={archive}", "-S", "data.recipe=quick",
         "-S", "data.suite=quick", "-S", "data.image_size=64")  # fmt: skip
    found = json.loads(call(clone, "git", "show", f"{revision(clone, 'real')}:metrics/data.json"))
    assert found["counts"] == {split: {"real": n, "fake": n} for split, n in count.items()}
    assert found["set_aside"]["count"] == 0
    assert found["pairs_across_splits"] == {"look-alike": 1}
    assert found["audit"]["auc"]["noise"]["auc"] > 0.75  # the grid of what is generated
    assert not found["rendered"]["images"]


def test_changed_files_of_the_user_are_noticed(clone):
    """dvc does not watch what lies outside of the repository; the watch stage does."""
    photos = clone.parent / "photos"
    options = ["-S", "model=simplenet", "-S", "data=folder", "-S", f"data.root={photos}",
               "-S", "data.recipe=quick", "-S", "data.image_size=64"]  # fmt: skip
    call(clone, "dvc", "exp", "run", *options)
    before = read(clone / "metrics/data.json")["counts"]["test"]["real"]
    again = call(clone, "dvc", "repro")
    assert "Running stage 'watch@folder'" in again
    assert "Running stage 'fetch'" not in again
    (photos / "test/real/more.jpg").write_bytes(separable(777, 0))
    assert "Running stage 'predict@simplenet'" in call(clone, "dvc", "repro")
    assert read(clone / "metrics/data.json")["counts"]["test"]["real"] == before + 1
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout", "-q")


def test_a_leak_stops_the_stage_and_is_listed_or_dropped(clone):
    photos = clone.parent / "photos"
    leak = photos / "train/real/of-test.jpg"
    leak.write_bytes((photos / "test/real/more.jpg").read_bytes())
    options = ["-S", "model=simplenet", "-S", "data=folder", "-S", f"data.root={photos}",
               "-S", "data.recipe=quick", "-S", "data.image_size=64"]  # fmt: skip
    said = call(clone, "dvc", "exp", "run", *options, fails=True)
    assert "facetell: leak: 1 pairs of images are on two sides of a split (1 same file)" in said
    assert "Traceback" not in said
    rows = list(csv.DictReader((clone / "metrics/leaks.csv").open()))
    assert [row["id"] for row in rows] == ["folder/train/real/of-test.jpg"]
    call(clone, "dvc", "exp", "run", *options, "-S", "data.split.leaks=drop")
    data = read(clone / "metrics/data.json")
    assert data["pairs_across_splits"] == {"same file": 1}
    assert data["counts"]["train"]["real"] == 8
    leak.unlink()
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout", "-q")


def test_one_set_is_trained_on_and_another_tested(clone):
    photos = clone.parent / "photos"
    call(clone, "dvc", "exp", "run", "-S", "model=simplenet", "-S", "data=mix",
         "-S", "data/set=[demo,folder]", "-S", "data.sets.demo.use=train",
         "-S", "data.sets.folder.use=test", "-S", f"data.sets.folder.root={photos}",
         "-S", "data.recipe=quick", "-S", "data.image_size=64", "-S", "data.harmonise=true",
         "-S", "data.harmonised.size=64", *[part for key, value in TINY.items()
         for part in ("-S", f"data.fetch.{key}={value}")])  # fmt: skip
    data = read(clone / "metrics/data.json")
    assert data["counts"] == {
        "train": {"real": 24, "fake": 24}, "valid": {"real": 12, "fake": 12},
        "test": {"real": 5, "fake": 4},
    }  # fmt: skip
    assert set(data["sets"]) == {"demo", "folder"}
    found = read(clone / "metrics/models/simplenet.json")
    assert found["clean"]["n"] == 9
    for name in ("gallery_demo", "gallery_folder"):
        assert (clone / f"plots/data/{name}.png").exists()
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout", "-q")


def test_a_network_of_timm_needs_one_file_and_processes_one_parameter(clone):
    (clone / "conf/model/lcnet.yaml").write_text(
        "# @package _global_\nmodel: lcnet\nmodels:\n  lcnet: {network: lcnet_050, "
        "source: src/facetell/models/factory.py, paper: {}, quick: {}, finetune: {}}\n"
    )
    said = call(clone, "dvc", "exp", "run", "-S", "model=lcnet", "-S", "processes=2")
    assert "Traceback" not in said
    found = read(clone / "metrics/models/lcnet.json")
    assert found["training"]["cost"]["processes"] == 2
    assert found["training"]["cost"]["parameters"] > 500_000
    counts = read(clone / "metrics/data.json")["counts"]["test"]
    assert found["clean"]["n"] == counts["real"] + counts["fake"]
    assert (clone / "plots/explain/lcnet/gradcam.png").exists()
    assert "lcnet" in (clone / "metrics/report.md").read_text()
    (clone / "conf/model/lcnet.yaml").unlink()
    call(clone, "git", "checkout", "-q", ".")
    call(clone, "dvc", "checkout", "-q")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_that_was_killed_goes_on(clone, kill):
    """And ends with the same bytes as one that was not."""
    command = [sys.executable, "-m", "pipeline.train", "simplenet"]
    params = clone / "params.yaml"
    settings = yaml.safe_load(params.read_text())
    settings["train"]["epochs"] = 40
    params.write_text(yaml.safe_dump(settings, sort_keys=False))
    process = subprocess.Popen(command, cwd=clone, env=ENV, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 3/40" in line:
            process.send_signal(kill)
            break
    assert process.wait() == (-kill if kill == signal.SIGKILL else 128 + kill)
    process.stderr.close()
    assert (clone / ".cache/training/simplenet/last.pt").exists()
    said = call(clone, *command)
    assert "going on after epoch" in said
    assert "epoch 2/40" not in said
    assert not (clone / ".cache/training/simplenet").exists()
    resumed = (clone / "models/simplenet.safetensors").read_bytes()
    call(clone, *command)
    assert (clone / "models/simplenet.safetensors").read_bytes() == resumed
