# SPDX-License-Identifier: Apache-2.0
"""The real client of the Hugging Face Hub against a server on this machine; nothing leaves it."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import picture
from support.hub import COMMITS, Hub, serving

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import listing
from facetell.dataset.sources import hub
from facetell.images.opening import open_archive

REPO = "someone/faces"


def shard(seed: int) -> bytes:
    images = [{"bytes": picture(seed + at, size=(32, 32)), "path": None} for at in range(2)]
    table = pa.table({"image": images, "label": ["real", "fake"]})
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


@pytest.fixture
def server(monkeypatch) -> Iterator[Hub]:
    files = {
        COMMITS["main"]: {
            "data/train-00000-of-00001.parquet": shard(0),
            "data/test-00000-of-00001.parquet": shard(10),
            "README.md": b"# Faces",
        },
        COMMITS["v1"]: {"all.parquet": shard(20)},
    }
    with serving(Hub(REPO, "datasets", files)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def fetch(home: Path, repo: str = REPO, revision: str | None = None) -> None:
    target, downloads = home / "raw/hub", home / "downloads"
    hub.fetch(target, home / repo, repo, Hints(), revision=revision, downloads=downloads)


def test_a_repository_is_read_at_a_commit(server, tmp_path, capsys):
    fetch(tmp_path)
    with open_archive(tmp_path / "raw/hub") as archive:
        listed = listing("hub", archive)
        assert archive.read("data/test-00000-of-00001/00000001") == picture(11, size=(32, 32))
    assert listed.table["split"].tolist() == ["test", "test", "train", "train"]
    assert f"data.revision={COMMITS['main']} keeps it so" in capsys.readouterr().out
    assert not any("README" in call for call in server.calls)


def test_a_revision_is_a_tag_or_a_commit(server, tmp_path):
    for revision in ("v1", COMMITS["v1"]):
        fetch(tmp_path, revision=revision)
        with open_archive(tmp_path / "raw/hub") as archive:
            assert archive.names == ["all/00000000", "all/00000001"]
    # the second time nothing is downloaded again
    downloaded = [call for call in server.calls if call.endswith("all.parquet")]
    before = len(downloaded)
    fetch(tmp_path, revision=COMMITS["v1"])
    after = len([call for call in server.calls if call.endswith("all.parquet")])
    assert after - before <= 1  # asked whether it has changed, at most


@pytest.mark.parametrize(
    ("repo", "revision", "says"),
    [
        ("someone/else", None, "there is no data set someone/else on the Hub, nor a path"),
        (REPO, "v9", "someone/faces has no revision v9"),
        ("nowhere.parquet", None, "no file or folder nowhere.parquet"),
        ("some/where/else", None, "no file or folder some/where/else"),
    ],
)
def test_what_is_not_there(server, tmp_path, repo, revision, says):
    with pytest.raises(UserError, match=says) as caught:
        fetch(tmp_path, repo, revision)
    assert "\n" not in str(caught.value)


def test_closed_and_broken_repositories(server, tmp_path, monkeypatch):
    server.gated = True
    with pytest.raises(UserError, match="open only to those who accept its terms"):
        fetch(tmp_path)
    server.gated, server.broken = False, True
    with pytest.raises(UserError, match="cannot be downloaded"):
        fetch(tmp_path)
    assert not (tmp_path / "raw/hub/shards.json").exists()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be downloaded"):
        fetch(tmp_path)
