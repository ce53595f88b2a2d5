# SPDX-License-Identifier: Apache-2.0
"""The real client of the Hugging Face Hub against a server on this machine; nothing leaves it."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import picture

from facetell.common.errors import UserError
from facetell.dataset.hints import Hints
from facetell.dataset.layouts import listing
from facetell.dataset.sources import hub
from facetell.images.archive import open_archive

REPO = "someone/faces"
COMMITS = {"main": "a" * 40, "v1": "b" * 40}


def shard(seed: int) -> bytes:
    images = [{"bytes": picture(seed + at, size=(32, 32)), "path": None} for at in range(2)]
    table = pa.table({"image": images, "label": ["real", "fake"]})
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


class Server(ThreadingHTTPServer):
    """A hub with one data set, of two revisions."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[str] = []
        self.gated = self.broken = False
        self.files = {
            COMMITS["main"]: {
                "data/train-00000-of-00001.parquet": shard(0),
                "data/test-00000-of-00001.parquet": shard(10),
                "README.md": b"# Faces",
            },
            COMMITS["v1"]: {"all.parquet": shard(20)},
        }

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.calls.append(path)
        api, resolve = f"/api/datasets/{REPO}", f"/datasets/{REPO}/resolve/"
        if path == api or path.startswith(f"{api}/"):
            self.described(*[*path.removeprefix(api).strip("/").split("/"), ""][:2])
        elif path.startswith(resolve):
            self.file(*path.removeprefix(resolve).split("/", 1))
        else:
            self.answer(404, b"{}", X_Error_Code="RepoNotFound")

    def described(self, what: str, revision: str) -> None:
        commit = COMMITS.get(revision or "main", revision)
        files = self.server.files.get(commit)
        if files is None:
            self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
        elif what == "tree":
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in files.items()
            ]
            self.answer(200, json.dumps(entries).encode(), Content_Type="application/json")
        else:
            siblings = [{"rfilename": name} for name in files]
            said = {"_id": "1", "id": REPO, "sha": commit, "siblings": siblings, "tags": []}
            self.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def file(self, commit: str, name: str) -> None:
        data = self.server.files[commit][name]
        if self.server.gated:
            self.answer(403, b"{}", X_Error_Code="GatedRepo")
        elif self.server.broken and self.command == "GET":
            self.answer(400, b"broken")
        else:
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self.answer(200, data, ETag=etag, X_Repo_Commit=commit)


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    with Server() as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served
        served.shutdown()


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
