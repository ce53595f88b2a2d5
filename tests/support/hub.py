# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Hub on this machine, for the real client; nothing leaves it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


class Hub(ThreadingHTTPServer):
    """One repository: ``files`` by commit and name; ``kind`` is "datasets" or "models".

    ``calls`` are the paths that were asked for. ``gated``: closed to the user; ``broken``: files
    cannot be read; ``cut_off``: answers end in the middle.
    """

    def __init__(self, repo: str, kind: str, files: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repo, self.kind, self.files = repo, kind, files
        self.calls: list[str] = []
        self.gated = self.broken = self.cut_off = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    with hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cut_off and len(body) > 1000:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def say(self, said: object) -> None:
        self.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.calls.append(path)
        repo, kind = self.server.repo, self.server.kind
        api = f"/api/{kind}/{repo}"
        resolve = f"/{repo}/resolve/" if kind == "models" else f"/{kind}/{repo}/resolve/"
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
            self.say(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                    for name, data in files.items()
                ]
            )
        else:
            siblings = [{"rfilename": name} for name in files]
            self.say({"_id": "1", "id": self.server.repo, "sha": commit, "siblings": siblings,
                      "tags": []})  # fmt: skip

    def file(self, revision: str, name: str) -> None:
        commit = COMMITS.get(revision, revision)
        if commit not in self.server.files:
            self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
        elif self.server.gated:
            self.answer(403, b"{}", X_Error_Code="GatedRepo")
        elif name not in self.server.files[commit]:
            self.answer(404, b"{}", X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        elif self.server.broken and self.command == "GET":
            self.answer(400, b"broken")
        else:
            data = self.server.files[commit][name]
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self.answer(200, data, ETag=etag, X_Repo_Commit=commit)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.calls.append(path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        api = f"/api/{self.server.kind}/{self.server.repo}"
        if self.server.gated or not self.headers.get("Authorization"):
            self.answer(401, b'{"error": "Invalid username or password."}')
        elif path == "/api/repos/create":
            said = json.loads(body)
            self.say({"url": f"{self.server.address}/{said['organization']}/{said['name']}"})
        elif path == "/api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        elif path == f"{api}/preupload/main":
            files = json.loads(body)["files"]
            self.say({"files": [{"path": file["path"], "uploadMode": "regular",
                                 "shouldIgnore": False} for file in files]})  # fmt: skip
        elif path == f"{api}/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            for line in lines:
                if line["key"] == "file":
                    data = base64.b64decode(line["value"]["content"])
                    self.server.files[COMMITS["main"]][line["value"]["path"]] = data
            self.say({"commitUrl": f"{self.server.address}/{self.server.repo}/commit/1",
                      "commitOid": COMMITS["main"], "success": True})  # fmt: skip
        else:
            self.answer(404, b"{}", X_Error_Code="RepoNotFound")
