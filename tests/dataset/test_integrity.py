# SPDX-License-Identifier: Apache-2.0
"""Outputs are the same bytes for the same data, whole or as they were, and true to the data."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from support import ROOT, picture, write_zip

from facetell.common.errors import UserError
from facetell.common.files import sha256
from facetell.common.labels import SPLITS
from facetell.dataset.sources import folder as folder_source
from facetell.dataset.stored import read_manifest
from facetell.images.opening import open_archive
from facetell.images.packed import Packed
from pipeline import compose, watch

ARCHIVE = "data/raw/folder/folder/folder.zip"


PACKED = [f"data/packed/{split}" for split in SPLITS]


TABLES = [
    "data/manifest", "metrics/files.json", "metrics/leaks.csv", "metrics/set_aside.csv",
]  # fmt: skip


IMAGES = 520  # enough for several processes to look at them


RUN = "import {imports}, pipeline.{stage} as stage; {before}; stage.run(stage.main)"


def settings(home: Path, *overrides: str) -> None:
    """Compose the workspace's params.yaml."""
    with chdir(ROOT):
        compose.compose(home / "params.yaml", ["data=folder", *overrides])


def command(stage: str, imports: str = "os", before: str = "pass") -> list[str]:
    """What runs a stage as the pipeline does, after the statement ``before``."""
    return [sys.executable, "-c", RUN.format(stage=stage, imports=imports, before=before)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def run(home: Path, stage: str, *, check: bool = True, **how: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        command(stage, **how), cwd=home, env=environment(), capture_output=True, text=True
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def workers(number: int) -> dict[str, str]:
    return {"before": f"stage.cpu_count = lambda: {number}"}


def digests(home: Path, names: list[str]) -> dict[str, str]:
    return {path.relative_to(home).as_posix(): sha256(path) for path in files(home, names)}


def files(home: Path, names: list[str]) -> list[Path]:
    """Those of these names, and all below folders of these names."""
    below = [path for name in names for path in (home / name, *(home / name).rglob("*"))]
    return sorted(path for path in below if path.is_file())


def of_the_last_run(home: Path, names: list[str]) -> None:
    for path in files(home, names):
        path.write_bytes(path.read_bytes() + b"of the last run")


def leftovers(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob(".*.part*")]


def message(done: subprocess.CompletedProcess) -> str:
    """The one line for the user with which a stage stopped."""
    said = done.stderr.strip().splitlines()
    lines = [line for line in said if not line.startswith("facetell: warning: ")]
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, lines[-1]
    assert len(lines) == 1, lines
    assert lines[0].startswith("facetell: ")
    return lines[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a set without splits was split and packed, by one process."""
    home = tmp_path_factory.mktemp("made")
    (home / ARCHIVE).parent.mkdir(parents=True)
    entries = {f"{('real', 'fake')[at % 2]}/{at:04d}.jpg": picture(at) for at in range(IMAGES)}
    entries |= {"real/broken.jpg": b"<html>", "fake/cut.jpg": picture(1)[:300]}
    write_zip(home / ARCHIVE, entries)
    settings(home)
    run(home, "split", **workers(1))
    run(home, "pack")
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of that workspace, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "home"))


def replaced(home: Path, change: Callable[[list[tuple[str, bytes]]], list]) -> None:
    """Write the archive anew, with what ``change`` makes of the list of its entries."""
    with zipfile.ZipFile(home / ARCHIVE) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(home / ARCHIVE, "w") as archive:
        for name, data in change(entries):
            archive.writestr(name, data)


def shuffled(entries: list) -> list:
    return random.Random(0).sample(entries, len(entries))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("order", [list, shuffled])
def test_split_and_pack_give_the_same_bytes_again(made, home, number, order):
    if order is shuffled:
        replaced(home, shuffled)
    for path in files(home, [*TABLES, *PACKED]):
        path.unlink()
    run(home, "split", **workers(number))
    run(home, "pack", **workers(number))
    assert digests(home, [*TABLES, *PACKED]) == digests(made, [*TABLES, *PACKED])


FULL = "resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.parametrize(
    ("stage", "limit", "stopped_at"),
    [
        ("fetch", 100_000, ARCHIVE),
        ("split", 4_000, "data/manifest"),
        ("split", 20, "metrics/files.json"),
        ("pack", 100_000, "data/packed/train"),
    ],
)
def test_a_full_disk_leaves_the_last_files_and_one_line(
    home, monkeypatch, stage, limit, stopped_at
):
    monkeypatch.setenv("JOBLIB_MULTIPROCESSING", "0")  # its semaphore is a file, too
    images = home.parent / "images"
    with zipfile.ZipFile(home / ARCHIVE) as archive:
        archive.extractall(images)
    settings(home, f"data.root={images}")
    of_the_last_run(home, [*TABLES, *PACKED])
    if stage == "pack":
        run(home, "split", **workers(1))
    before = digests(home, [ARCHIVE, *TABLES, *PACKED])
    done = run(home, stage, check=False, imports="os, resource", before=FULL.format(limit))
    after = digests(home, [ARCHIVE, *TABLES, *PACKED])
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    if stopped_at == "data/manifest":
        changed -= {*TABLES[1:]}  # written whole before it
    assert changed == set()
    assert leftovers(home) == []
    said = message(done)
    assert "too large" in said.lower()
    assert Path(stopped_at).as_posix() in said
    assert ".part" not in said


def killed_while_packing(home: Path) -> None:
    """Start the pack stage, and kill it once it has written something of the first file."""
    process = subprocess.Popen(
        command("pack"), cwd=home, env=environment(), stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not any(
            path.stat().st_size for path in (home / "data/packed/train").glob("[.][0-9a-f]*")
        ):
            assert process.poll() is None, "the stage ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


def test_after_a_kill_the_last_files_are_there_and_the_next_run_succeeds(home):
    settings(home, "data.harmonise=true")  # encoding anew takes long enough to be killed in
    run(home, "split", **workers(1))
    of_the_last_run(home, PACKED)
    before = digests(home, PACKED)
    killed_while_packing(home)
    assert before.items() <= digests(home, PACKED).items()
    assert len(leftovers(home)) == 2, "a shard, and the list of all rows"
    run(home, "pack")
    assert leftovers(home) == []
    assert sum(len(Packed(home / name)) for name in PACKED) == IMAGES


def test_a_file_that_another_process_still_writes_is_left_alone(home):
    theirs = home / f"data/packed/train/.abc.{os.getpid()}.part.arrow"
    theirs.write_bytes(b"half")
    run(home, "pack")
    assert theirs.read_bytes() == b"half"


@pytest.mark.parametrize("how", ["another", "missing", "broken"])
def test_an_archive_that_changed_after_split_is_noticed(home, how):
    victim = read_manifest(home / "data/manifest").query("split == 'train'")["path"][3:4]
    name = victim.item()
    new = {"another": [(name, picture(9_999))], "missing": [], "broken": [(name, b"<html>")]}[how]
    replaced(home, lambda entries: [entry for entry in entries if entry[0] != name] + new)
    for path in files(home, PACKED):
        path.unlink()  # what is packed already is not read again
    said = message(run(home, "pack", check=False))
    assert name in said
    assert "split" in said
    assert files(home, PACKED) == []
    assert leftovers(home) == []


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a folder and an archive of the user's outside of it."""
    mine = tmp_path / "mine"
    for at, name in enumerate(("real/a.jpg", "real/b.jpg", "fake/c.jpg")):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_bytes(picture(at))
    write_zip(tmp_path / "mine.zip", {"real/a.jpg": picture(0)})
    (tmp_path / "workspace").mkdir()
    monkeypatch.chdir(tmp_path / "workspace")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def note(where: dict[str, str]) -> bytes:
    """The bytes that the watch stage writes for a set that lies at ``where``."""
    sets = {"folder": {"layout": "folder", "use": "all"} | where}
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["data"] |= {"name": "folder", "sets": sets}
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    watch.main("folder")
    assert sorted(path.name for path in Path("data/watch").iterdir()) == ["folder.json"]
    return Path("data/watch/folder.json").read_bytes()


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def newer(path: Path) -> None:
    """Other content of the same size, a second later."""
    found = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": longer,
    "newer": newer,
    "renamed": lambda path: path.rename(path.with_name("z.jpg")),
    "gone": Path.unlink,
    "added": lambda path: shutil.copy(path, path.with_name("z.jpg")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_the_users_folder_is_noticed(watched, change):
    where = {"root": str(watched / "mine")}
    before = note(where)
    assert note(where) == before
    CHANGES[change](watched / "mine/real/b.jpg")
    after = note(where)
    assert after != before
    assert note(where) == after


@pytest.mark.parametrize("change", ["longer", "newer", "gone"])
def test_a_change_of_the_users_archive_is_noticed(watched, change):
    where = {"archive": str(watched / "mine.zip")}
    before = note(where)
    assert note(where) == before
    CHANGES[change](watched / "mine.zip")
    assert note(where) != before


def test_another_archive_of_the_same_size_is_noticed(watched):
    shutil.copy2(watched / "mine.zip", watched / "other.zip")
    one, other = (note({"archive": str(watched / name)}) for name in ("mine.zip", "other.zip"))
    assert one != other


def oddly_named(root: Path) -> Path:
    """Add an image whose name is of another encoding, as old systems and archives leave them."""
    path = root / "real" / os.fsdecode(b"gr\xfc\xdfe.jpg")
    path.write_bytes(picture(4))
    return path


def test_a_name_that_is_not_unicode_is_watched(watched):
    where = {"root": str(watched / "mine")}
    longer(oddly_named(watched / "mine"))
    before = note(where)
    assert note(where) == before


def test_a_name_that_is_not_unicode_is_fetched_or_refused(watched):
    oddly_named(watched / "mine")
    try:
        folder_source.fetch(watched / "target.zip", root=watched / "mine")
    except UserError as error:
        assert "real" in str(error)  # noqa: PT017
        assert not (watched / "target.zip").exists()
    else:
        with open_archive(watched / "target.zip") as archive:
            assert len(archive.names) == 4
