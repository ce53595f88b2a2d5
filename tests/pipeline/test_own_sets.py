# SPDX-License-Identifier: Apache-2.0
"""Sets of a user's own through the stages: what is fetched, watched and asked for."""

import shutil

import pandas as pd
import pytest
from support import picture

from facetell.common.errors import UserError
from facetell.dataset.layouts import rows
from facetell.images.opening import open_archive
from pipeline import fetch, watch
from pipeline.settings import ImageSet


def table(folder):
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(picture(ord(name[0]), size=(32, 32)))
    (folder / "t.csv").write_text("path,label\na.png,real\nb.png,fake\n", encoding="utf-8")
    return ImageSet(layout="table", use="all", table=str(folder / "t.csv"))


def shards(folder):
    folder.mkdir(parents=True)
    images = [{"bytes": picture(seed, size=(32, 32)), "path": None} for seed in range(2)]
    frame = pd.DataFrame({"image": images, "label": [True, False]})
    frame.to_parquet(folder / "one.parquet")
    classes = {"real": [False], "fake": [True]}  # as YAML reads them
    return ImageSet(layout="hub", use="all", hub=str(folder), classes=classes)


@pytest.mark.parametrize("make", [table, shards])
def test_a_set_is_fetched_and_watched(tmp_path, make):
    chosen = make(tmp_path / "mine")
    fetch.fetch("mine", chosen, tmp_path / "raw")
    with open_archive(tmp_path / "raw") as archive:
        assert sorted(rows(chosen.layout, archive, chosen.hints)["label"]) == [0, 1]
    files = sorted((tmp_path / "mine").iterdir())  # a table and its images, or shards
    assert watch.noted(chosen)["files"] == len(files)
    for file in files:
        before = watch.noted(chosen)
        data = file.read_bytes()
        file.write_bytes(data + b" ")
        assert watch.noted(chosen)["digest"] != before["digest"]
        file.write_bytes(data)


@pytest.mark.parametrize("make", [table, shards])
def test_a_set_in_the_repository_is_the_same_in_every_clone(tmp_path, monkeypatch, make):
    """A queued experiment has a folder of its own, and another machine another clone."""
    made = make(tmp_path / "first/mine")
    shutil.copytree(tmp_path / "first", tmp_path / "second")  # the dates, too
    given = {name: "mine" + getattr(made, name).split("mine")[1] for name in ("table", "hub")
             if getattr(made, name)}  # fmt: skip
    chosen, seen = made.model_copy(update=given), []
    for clone in ("first", "second"):
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / clone))
        seen.append(watch.noted(chosen))
    monkeypatch.delenv("DVC_ROOT")  # a stage that is started by hand, or in a queued run's copy
    monkeypatch.chdir(tmp_path / "first")
    assert [watch.noted(chosen), *seen] == [seen[0]] * 3
    assert seen[0]["files"] > 0


def test_a_table_that_cannot_be_read_is_watched_all_the_same(tmp_path):
    (tmp_path / "t.csv").write_text("nothing", encoding="utf-8")
    chosen = ImageSet(layout="table", use="all", table=str(tmp_path / "t.csv"))
    assert watch.noted(chosen)["files"] == 1


@pytest.mark.parametrize("name", ["table", "hub"])
def test_what_is_not_set_is_asked_for(tmp_path, name):
    with pytest.raises(UserError, match=f"data.{name} is not set.*-S data.{name}=PATH"):
        fetch.fetch("mine", ImageSet(layout=name, use="all"), tmp_path)
