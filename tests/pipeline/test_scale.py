# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of images: the archives that are measured, the costs, the tables."""

import sys
import zipfile
from pathlib import Path

import pytest
from support import ROOT

from benchmarks.archives import COPIES, drawn, nearest, thinned
from benchmarks.scale import LARGE, Cost, commands
from facetell.common.errors import UserError
from facetell.common.files import write_json
from facetell.dataset.layouts import recognised, rows
from facetell.dataset.neighbours import ALIKE
from facetell.images.opening import open_archive
from pipeline import scale_tables
from pipeline.scale_tables import DISK, LARGEST, NOTHING, TIME, Law

MEMORY_HOG = "import time; taken = bytearray(300 * 2**20); time.sleep(60)"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep(images: int, **seconds: float) -> None:
    """A measurement with so many seconds of each stage, and ten times the MiB."""
    stages = {
        name: {"seconds": one, "largest_mib": 10 * one, "together_mib": 20 * one, "disk_mib": one}
        for name, one in seconds.items()
    }
    machine = {"processor": "a chip", "memory_gib": 8.0, "torch": "2"}
    about = {"size": 32, "archive_mib": 5.0, "machine": machine, "settings": ["data=faces140k"]}
    dvc = {"dvc exp run": 2.0}
    path = Path(f"docs/results/scale/drawn/{images}.json")
    write_json(path, {"images": images, "stages": stages, "dvc": dvc} | about)


def cells(table: str, stage: str) -> list[str]:
    return next(line for line in table.splitlines() if f"{stage}" in line).strip("| ").split(" | ")


@pytest.mark.parametrize(
    ("points", "at_4000", "said"),
    [
        ({1000: 3.0, 2000: 5.0}, 9.0, "1.0 s + 33.3 min per million"),
        ({1000: 1.0, 2000: 3.0}, 9.0, "n^1.58"),
        ({1000: 0.1, 2000: 4.0}, 16.0, "n^2.00"),
        ({1000: 5.0, 2000: 4.0}, 5.0, "constant"),
        ({500: 9.0, 1000: 3.0, 2000: 5.0}, 9.0, "1.0 s + 33.3 min per million"),
        ({1000: 0.0, 2000: 4.0}, 8.0, "33.3 min per million"),
    ],
)
def test_a_stage_is_extrapolated_from_its_two_largest_sets(points, at_4000, said):
    law = Law.of(points)
    assert law(4000) == pytest.approx(at_4000)
    assert law.said(TIME.written) == said


def test_tables_tell_what_was_measured_from_what_was_not(home):
    keep(10_000, split=2.0, train=5.0, report=1.0)
    keep(100_000, split=10.0, train=50.0)
    keep(1_000_000, split=100.0)
    table = scale_tables.costs("drawn", TIME)
    head = table.splitlines()[0].strip("| ").split(" | ")
    assert head == ["stage", "10,000", "100,000", "140,000", "1,000,000", "10,000,000", "model"]
    assert cells(table, "split") == [
        "`split`", "2.0 s", "10.0 s", "≈ 14.0 s", "100.0 s", "≈ 16.7 min", "100.0 s per million"
    ]  # fmt: skip
    assert cells(table, "train")[4:6] == ["≈ 8.3 min", "≈ 83.3 min"]
    assert "report" not in table, "one measurement says nothing of other numbers"
    assert cells(table, "all, one")[2:5] == ["60.0 s", "≈ 84.0 s", "≈ 10.0 min"]
    assert cells(scale_tables.costs("drawn", LARGEST), "the most")[2] == "500 MiB"
    assert cells(scale_tables.costs("drawn", DISK), "all")[2] == "60 MiB"


def test_the_largest_set_is_compared_with_the_one_before(home):
    assert scale_tables.ratios("drawn") == NOTHING
    stages = dict.fromkeys(("split", "pack", "audit", "predict"), 10.0)
    keep(10, **stages)
    keep(1000, **stages)
    keep(2000, **stages | {"split": 30.0})
    table = scale_tables.ratios("drawn")
    assert cells(table, "split") == ["`split`", "1.50", "3.00", "3.00"]
    assert cells(table, "pack") == ["`pack`", "0.50", "1.00", "1.00"]
    assert "of 2,000 images took 60.0 s, and at most 600 MiB" in table
    assert "largest process took 300 MiB, 3.00 times that of 1,000 images" in table


def test_without_measurements_every_block_says_so(home):
    assert {block() for name, block in scale_tables.BLOCKS.items() if name != "scale-trainings"} \
        == {NOTHING}  # fmt: skip


def test_drawn_images_are_different_but_for_the_near_copies(tmp_path):
    drawn(tmp_path / "a.zip", 200, 32)
    with open_archive(tmp_path / "a.zip") as archive:
        assert recognised(archive) == "faces140k"
        table = rows("faces140k", archive)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        data = {file.read(path) for path in table["path"]}
    assert len(data) == 200
    assert table["label"].mean() == 0.5
    assert table["split"].value_counts().to_dict() == {"train": 144, "valid": 28, "test": 28}
    assert nearest(10**6, 32) > ALIKE
    assert COPIES == 10


def test_images_that_are_too_small_to_differ_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"2 px are only \d+ bits apart"):
        drawn(tmp_path / "a.zip", 200, 2)
    assert not list(tmp_path.iterdir())


def test_some_images_of_a_real_archive_are_taken_evenly(tmp_path):
    drawn(tmp_path / "a.zip", 200, 32)
    thinned(tmp_path / "b.zip", 50, tmp_path / "a.zip")
    with open_archive(tmp_path / "b.zip") as archive:
        table = rows("faces140k", archive)
        assert set(table["path"]) <= set(archive.names)
    assert len(table) == 50
    assert set(table.groupby(["split", "label"]).size()) == {3, 4, 18}
    with pytest.raises(UserError, match=r"has 200 images, not 201"):
        thinned(tmp_path / "c.zip", 201, tmp_path / "a.zip")


def test_the_stages_are_those_of_dvc():
    found = commands()
    assert set(LARGE) <= set(found)
    assert "watch" not in found
    for lines in found.values():
        for _, dash, module, *given in lines:
            assert dash == "-m"
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
            assert "$" not in "".join(given)


def test_what_a_command_takes_is_measured(tmp_path):
    cost = Cost()
    work = "import time; open('a', 'wb').write(bytes(2**21)); time.sleep(1)"  # to be looked at
    cost.add([sys.executable, "-c", work], tmp_path, 1e9)
    assert cost.disk_mib == 2
    assert cost.seconds > 0
    assert cost.together_mib >= cost.largest_mib > 1


def test_a_stage_that_takes_too_much_memory_is_ended(tmp_path):
    with pytest.raises(UserError, match="more than 100 MiB"):
        Cost().add([sys.executable, "-c", MEMORY_HOG], tmp_path, 100)
    with pytest.raises(UserError, match="failed in"):
        Cost().add([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, 1e9)
