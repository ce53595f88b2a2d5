# SPDX-License-Identifier: Apache-2.0
"""The real Kaggle client against a server on this machine; nothing leaves it."""

import base64
import contextlib
import hashlib
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from support import ROOT

DATASET = "someone/faces"
PAGE = f"https://www.kaggle.com/datasets/{DATASET}"
KEY = {"KAGGLE_USERNAME": "user", "KAGGLE_KEY": "key"}
BASIC = "Basic " + base64.b64encode(b"user:key").decode()
BLOCK = 2**17  # as many bytes as the download writes at a time
HALF = 500_000  # bytes after which the server breaks off
DEFAULTS = {"FIRST_WAIT": 0.01, "LONGEST_WAIT": 60, "SILENCE": 20, "ATTEMPTS": 6, "BLOCK": BLOCK}
NO_PORT = "http://localhost:9"

# The client's addresses are replaced before it is imported, for it logs in on import.
LEAD = """
import contextlib, io, json, os, resource, sys, traceback
from pathlib import Path
from kagglesdk.kaggle_env import KaggleEnv, _env_to_endpoint
_env_to_endpoint.update(dict.fromkeys(KaggleEnv, sys.argv[2]))
_env_to_endpoint[KaggleEnv[sys.argv[3]]] = sys.argv[1]
from facetell.common.errors import UserError
from facetell.dataset.sources import kaggle
"""

ONCE = """
try:
    kaggle.fetch(Path("out/t.zip"), dataset="someone/faces", expected=None, downloads=Path("d"))
except UserError as error:
    print("ERROR:", error)
"""

# One process for many calls. The client closes stdin where it finds no credentials.
WORKER = """
def call(settings, env, largest, arguments):
    for key in [key for key in os.environ if key.startswith("KAGGLE")]:
        del os.environ[key]
    os.environ.update(env, KAGGLE_API_ENVIRONMENT="TEST")
    for key, value in settings.items():
        setattr(kaggle, key, value)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    target, downloads = Path(arguments.pop("target")), Path(arguments.pop("downloads"))
    try:
        kaggle.fetch(target, downloads=downloads, **arguments)
    except UserError as error:
        return str(error)
    except BaseException:
        return traceback.format_exc()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

for line in os.fdopen(os.dup(0)):
    said, log = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(log):
        error = call(**json.loads(line))
    print(json.dumps([error, log.getvalue(), said.getvalue()]), flush=True)
"""


def zipped(seed: int = 0, size: int = 600_000) -> bytes:
    """A zip with two incompressible entries of ``size`` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            archive.writestr(name, hashlib.shake_128(f"{seed}{name}".encode()).digest(size))
    return buffer.getvalue()


CONTENT = zipped()
OTHER = zipped(seed=1)


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


class Kaggle(ThreadingHTTPServer):
    """A stand-in for Kaggle's interface, and for the storage that it sends downloads to.

    Attributes
    ----------
    api : per method the answers that come before the usual one, (status, JSON).
    plans : how the next downloads go wrong, see ``Handler.send``.
    direct : give the file instead of a redirection to the storage.
    hashes, length : the checksums and the size that are announced; None: none, the true one.
    calls : method and Authorization of each call of the interface.
    ranges : the Range header of each download; a look at the headers alone is not counted.
    leaked : Authorization headers that reached the storage.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(self) -> None:
        self.content, self.etag, self.direct = CONTENT, '"first"', False
        self.hashes: str | None = f"crc32c=AAAAAA==,md5={md5(CONTENT)}"
        self.length: int | None = None
        self.api: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.plans: list[dict[str, Any]] = []
        self.tokens = ["token"]
        self.licences: list[dict[str, str]] = [{"name": "CC0-1.0"}]
        self.calls: list[tuple[str, str | None]] = []
        self.ranges: list[str | None] = []
        self.leaked: list[str] = []
        self.wait = threading.Event()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


class Handler(BaseHTTPRequestHandler):
    server: Kaggle
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        method, sent = self.path.rsplit("/", 1)[1], self.headers["Authorization"]
        self.server.calls.append((method, sent))
        known = [BASIC, *(f"Bearer {token}" for token in self.server.tokens)]
        if planned := self.server.api.get(method):
            self.answer(*planned.pop(0))
        elif method == "IntrospectToken":
            active = body["token"] in self.server.tokens
            self.answer(200, {"active": active, "username": "user"})
        elif method == "GenerateAccessToken":
            assert body["refreshToken"] == "refresh"
            self.answer(200, {"token": "token", "expiresIn": 3600})
        elif sent not in known:
            self.answer(401, {"code": 401, "message": "Unauthenticated"})
        elif method == "GetDatasetMetadata":
            assert (body["ownerSlug"], body["datasetSlug"]) == tuple(DATASET.split("/"))
            self.answer(200, {"info": {"licenses": self.server.licences}})
        elif self.server.direct:
            self.give()
        else:
            assert method == "DownloadDataset"
            self.send_response(302)
            storage = f"http://127.0.0.1:{self.server.server_address[1]}/archive.zip?signature=s"
            self.send_header("Location", storage)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def answer(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in told.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.headers["Authorization"]:
            self.server.leaked.append(self.headers["Authorization"])
        self.give()

    def give(self) -> None:
        if self.headers["Accept-Encoding"] != "identity":  # the client's look at the link
            self.send(None)
        else:
            self.server.ranges.append(self.headers["Range"])
            plan = self.server.plans.pop(0) if self.server.plans else {}
            self.send(self.headers["Range"], **plan)

    def send(
        self,
        asked: str | None,
        status: int | None = None,
        cut: int | None = None,
        most: int | None = None,
        sized: bool = True,
        stall: bool = False,
        ranges: bool = True,
        careless: bool = False,
    ) -> None:
        """The file, or its rest.

        ``status``: this error instead; ``cut``: close after so many bytes; ``most``: give so many
        bytes of the range, and say so; ``sized``: say how many bytes come; ``stall``: say nothing
        more then; ``ranges``: understand Range; ``careless``: do not look at If-Range.
        """
        server = self.server
        if status:
            return self.answer(status, {"message": "not now", "headers": {"Retry-After": "0"}})
        condition = self.headers["If-Range"]
        same = condition == server.etag and not server.etag.startswith("W/")
        ranged = asked and ranges and (careless or same or condition is None)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranged else 0
        total = len(server.content) if server.length is None else server.length
        end = min(total, start + (most or total))
        self.send_response(206 if ranged else 200)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
        if sized:
            self.send_header("Content-Length", str(end - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Accept-Ranges", "bytes")
        if server.hashes:
            self.send_header("x-goog-hash", server.hashes)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(server.content[start:end][:cut])
        if stall:
            server.wait.wait(120)
        self.close_connection = True


@pytest.fixture(scope="module")
def running() -> Iterator[Kaggle]:
    with Kaggle() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(running: Kaggle) -> Iterator[Kaggle]:
    running.reset()
    yield running
    running.wait.set()


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment without the user's own credentials, settings and proxies."""
    unwanted = re.compile("kaggle|.*_proxy|xdg_config|verbose", re.IGNORECASE)
    kept = {key: value for key, value in os.environ.items() if not unwanted.match(key)}
    home.mkdir(parents=True, exist_ok=True)
    paths = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return kept | {"HOME": str(home), "PYTHONPATH": paths, "NO_PROXY": "*"} | more


def command(script: str, url: str, elsewhere: str = NO_PORT, name: str = "PROD") -> list[str]:
    return [sys.executable, "-c", LEAD + script, url, elsewhere, name]


@pytest.fixture(scope="module")
def worker(running: Kaggle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A process that imported the client once, without credentials, and takes calls."""
    with subprocess.Popen(
        command(WORKER, running.url, name="TEST"),
        env=environment(tmp_path_factory.mktemp("home")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def fetch(worker: Any, tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """``fetch`` in the worker; gives the error (None: none) and what it wrote to stderr."""

    def call(
        expected: str | None = None,
        dataset: str = DATASET,
        env: dict[str, str] | None = None,
        largest: int = -1,
        **settings: float,
    ) -> SimpleNamespace:
        paths = {"target": str(tmp_path / "out/t.zip"), "downloads": str(tmp_path / "d")}
        request = {
            "settings": DEFAULTS | settings,
            "env": {"HOME": str(tmp_path), **(KEY if env is None else env)},
            "largest": largest,
            "arguments": {"dataset": dataset, "expected": expected, **paths},
        }
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        stuck = threading.Timer(60, worker.kill)
        stuck.start()
        error, log, said = json.loads(worker.stdout.readline() or "null")
        stuck.cancel()
        assert said == ""
        assert "Traceback" not in f"{error}{log}", error
        assert "\r" not in log
        assert "signature" not in f"{error}{log}"
        return SimpleNamespace(error=error, log=log)

    return call


def part(folder: Path) -> Path:
    return folder / f"d/{DATASET}.zip.part"


def arrived(folder: Path) -> bool:
    """Whether the target is there, whole, and nothing unfinished beside it."""
    target = folder / "out/t.zip"
    assert [path.name for path in target.parent.iterdir()] == ["t.zip"]
    assert not part(folder).exists()
    return target.read_bytes() in (CONTENT, OTHER)


def refused(folder: Path, result: SimpleNamespace, *words: str) -> bool:
    """Whether there was one error of one line with these words, and no target."""
    assert "\n" not in result.error
    assert "data.archive=PATH.zip" in result.error
    assert not list(folder.glob("out/*"))
    assert [word for word in words if word not in result.error] == [], result.error
    return True


def test_missing_credentials_are_one_clear_error(tmp_path):
    done = subprocess.run(
        command(ONCE, NO_PORT), cwd=tmp_path, env=environment(tmp_path), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout.startswith("ERROR: no Kaggle credentials"), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert "data.archive=PATH.zip" in done.stdout
    assert not list(tmp_path.glob("out/*"))


def test_a_download_with_kaggle_json_and_its_log(server, tmp_path):
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle/kaggle.json").write_text('{"username": "user", "key": "key"}')
    (tmp_path / ".kaggle/kaggle.json").chmod(0o644)
    done = subprocess.run(
        command(ONCE * 2, server.url), cwd=tmp_path, env=environment(tmp_path),
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    warning, licence, *lines = done.stderr.splitlines()
    assert "readable by other users" in warning
    assert licence.startswith(f"facetell: {DATASET} has the licence CC0-1.0. Using the data means")
    assert licence.endswith(PAGE)
    assert lines[0] == f"facetell: downloading {DATASET}: 0.0 of 1.2 MB (0%)"
    assert lines[-1] == f"facetell: {DATASET}: 1.2 of 1.2 MB (100%)"
    assert 6 < len(lines) <= 11
    assert "\r" not in done.stderr
    assert arrived(tmp_path)
    assert (tmp_path / "out/t.zip").samefile(tmp_path / f"d/{DATASET}.zip")
    # the second call asked for nothing, and the storage did not see the password
    assert server.calls == [("GetDatasetMetadata", BASIC), ("DownloadDataset", BASIC)]
    assert (server.ranges, server.leaked) == ([None], [])


def test_a_terminal_gets_a_bar_and_another_disk_a_copy(server, tmp_path):
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle/access_token").write_text("token\n")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    no_links = "def refuse(*_): raise OSError\nos.link = refuse"
    done = subprocess.Popen(
        command(no_links + ONCE, server.url), cwd=tmp_path, env=environment(tmp_path),
        stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while block := os.read(ours, 2**16):
            shown += block
    os.close(ours)
    assert done.communicate()[0] == b""
    assert b"CC0-1.0" in shown
    assert b"100%|" in shown
    assert b"\r" in shown
    assert arrived(tmp_path)


def test_a_log_is_not_flooded(server, fetch, tmp_path):
    result = fetch(BLOCK=4096)
    assert result.error is None
    assert result.log.count("\n") == 12  # the licence, the start and ten tenths
    assert arrived(tmp_path)


@pytest.mark.parametrize("cut", [None, HALF])
def test_a_file_of_unknown_size(server, fetch, tmp_path, cut):
    server.plans = [{"sized": False, "cut": cut}]
    result = fetch()
    assert f"downloading {DATASET}: 0.0 MB\n" in result.log
    if cut:
        assert refused(tmp_path, result, "BadZipFile", "was deleted")
        assert fetch().error is None
    assert arrived(tmp_path)


def oauth(home: Path, hours: int) -> None:
    """What `kaggle auth login` leaves, with a token that is valid for so many hours."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    saved = {
        "refresh_token": "refresh", "access_token": "token" if hours > 0 else "old",
        "access_token_expiration": until.isoformat(), "username": "user", "scopes": [],
    }  # fmt: skip
    (home / ".kaggle").mkdir()
    (home / ".kaggle/credentials.json").write_text(json.dumps(saved))


@pytest.mark.parametrize("place", ["variable", "file", "name and key", "login", "old login"])
def test_credentials_are_found_where_the_client_looks(server, fetch, tmp_path, place):
    env = {"variable": {"KAGGLE_API_TOKEN": "token"}, "name and key": KEY}.get(place, {})
    if place == "file":
        (tmp_path / ".kaggle").mkdir()
        (tmp_path / ".kaggle/access_token").write_text("token\n")
    if "login" in place:
        oauth(tmp_path, hours=-9 if place == "old login" else 9)
    assert fetch(env=env).error is None
    assert arrived(tmp_path)
    sent = BASIC if place == "name and key" else "Bearer token"
    assert server.calls[-1] == ("DownloadDataset", sent)
    assert ("GenerateAccessToken" in server.methods()) == (place == "old login")
    assert server.leaked == []


@pytest.mark.parametrize(
    ("env", "answers"),
    [
        ({"KAGGLE_API_TOKEN": "wrong"}, {}),
        ({"KAGGLE_API_TOKEN": "wrong"}, {"IntrospectToken": (401, {"message": "no"})}),
        ({"KAGGLE_USERNAME": "user", "KAGGLE_KEY": "wrong"}, {}),
        ({}, {"GenerateAccessToken": (401, {"message": "no"})}),
        ({}, {"GenerateAccessToken": (400, {"message": "no"})}),
    ],
)
def test_wrong_credentials(server, fetch, tmp_path, env, answers):
    server.api = {method: [answer] * 2 for method, answer in answers.items()}
    if not env:
        oauth(tmp_path, hours=-9)
    result = fetch(env=env)
    assert refused(tmp_path, result, "refused your credentials", "kaggle auth login", DATASET)
    assert server.ranges == []
    assert "trying again" not in result.log


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {"code": 403, "message": "Accept the rules"}), [PAGE, "accept", "Accept the rules"]),
        ((200, {"code": 403, "message": "Accept the rules"}), [PAGE, "accept", "Accept the rules"]),
        ((404, {"code": 5, "message": "Not found"}), ["no data set", "data.sets.*.kaggle", "404"]),
    ],
)
def test_a_refusal_says_what_to_do(server, fetch, tmp_path, answer, words):
    server.api = {"GetDatasetMetadata": [answer], "DownloadDataset": [answer]}
    result = fetch()
    assert refused(tmp_path, result, DATASET, *words)
    assert f"could not be read. Using the data means accepting its terms, which are on {PAGE}" in (
        result.log
    )
    assert server.methods() == ["GetDatasetMetadata", "DownloadDataset"]  # once each


def test_an_unknown_licence_is_no_reason_to_stop(server, fetch, tmp_path):
    server.licences = []
    result = fetch()
    assert result.error is None
    assert "has a licence that could not be read" in result.log
    assert arrived(tmp_path)


@pytest.mark.parametrize("etag", ['"strong"', 'W/"weak"', ""])
@pytest.mark.parametrize("direct", [False, True])
def test_a_cut_download_goes_on(server, fetch, tmp_path, etag, direct):
    server.etag, server.direct = etag, direct
    server.plans = [{"cut": HALF}, {"cut": HALF // 2}]
    result = fetch()
    assert result.error is None
    assert arrived(tmp_path)
    starts = [int(asked[6:-1]) for asked in server.ranges[1:]]
    assert server.ranges[0] is None
    # at most one block is sent twice
    assert HALF - BLOCK <= starts[0] <= HALF
    assert starts[0] + HALF // 2 - BLOCK <= starts[1] <= starts[0] + HALF // 2
    assert result.log.count("the connection was cut; trying again") == 2


def test_a_download_that_is_cut_every_time(server, fetch, tmp_path):
    server.plans = [{"cut": HALF}] + [{"cut": 0}] * 2
    result = fetch(ATTEMPTS=3)
    have = part(tmp_path).stat().st_size
    assert refused(tmp_path, result, "the connection was cut", f"goes on from byte {have:,}")
    assert have >= HALF - BLOCK
    assert part(tmp_path).read_bytes() == CONTENT[:have]
    assert len(server.ranges) == 3
    assert fetch().error is None
    assert server.ranges[3:] == [f"bytes={have}-"]
    assert arrived(tmp_path)


def test_a_killed_process_leaves_what_the_next_goes_on_from(server, fetch, tmp_path):
    server.plans = [{"cut": HALF, "stall": True}]
    process = subprocess.Popen(
        command(ONCE, server.url), cwd=tmp_path, env=environment(tmp_path, **KEY),
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        if part(tmp_path).is_file() and part(tmp_path).stat().st_size >= HALF - BLOCK:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    have = part(tmp_path).stat().st_size
    assert have >= HALF - BLOCK
    assert not list(tmp_path.glob("out/*"))
    assert fetch().error is None
    assert server.ranges == [None, f"bytes={have}-"]
    assert arrived(tmp_path)


def test_a_complete_part_is_not_asked_for_again(server, fetch, tmp_path):
    server.plans = [{"cut": HALF}]
    assert fetch(ATTEMPTS=1).error
    part(tmp_path).write_bytes(CONTENT)
    assert fetch().error is None
    assert len(server.ranges) == 1
    assert arrived(tmp_path)


def test_a_server_that_falls_silent_counts_as_cut(server, fetch, tmp_path):
    server.plans = [{"cut": HALF, "stall": True}]
    assert fetch(SILENCE=0.3).error is None
    assert len(server.ranges) == 2
    assert int(server.ranges[1][6:-1]) >= HALF - BLOCK
    assert arrived(tmp_path)


def test_a_file_shorter_than_announced_is_not_taken(server, fetch, tmp_path):
    whole = CONTENT + bytes(1000)
    server.length, server.hashes = len(whole), f"md5={md5(whole)}"
    result = fetch(ATTEMPTS=3)
    have = part(tmp_path).stat().st_size
    assert refused(tmp_path, result, f"goes on from byte {have:,}")
    assert server.ranges[1:] == [f"bytes={have}-"] * 2
    # the missing end comes later
    server.content = whole
    assert fetch().error is None
    assert (tmp_path / "out/t.zip").read_bytes() == whole


def test_a_rest_that_comes_in_pieces(server, fetch, tmp_path):
    server.plans = [{"cut": HALF}, {"most": HALF}]
    result = fetch()
    assert result.error is None
    assert f"of {len(CONTENT):,} bytes came; trying again" in result.log
    assert len(server.ranges) == 3
    assert arrived(tmp_path)


@pytest.mark.parametrize("damage", ["announced too short", "cut off", "no zip", "md5", "entry"])
def test_a_damaged_download_is_deleted(server, fetch, tmp_path, damage):
    middle = len(CONTENT) // 4
    if damage == "announced too short":
        server.length, server.hashes = HALF, None
    elif damage == "cut off":
        server.content = CONTENT[:HALF]
        server.hashes = f"md5={md5(server.content)}"
    elif damage == "no zip":
        server.content, server.hashes = b"<html>log in first</html>", None
    else:  # a byte in an entry; the zip's list is good
        server.content = CONTENT[:middle] + bytes([CONTENT[middle] ^ 1]) + CONTENT[middle + 1 :]
        server.hashes = server.hashes if damage == "md5" else None
    result = fetch()
    words = {"md5": "the server says", "entry": "a.jpg in it has"}.get(damage, "BadZipFile")
    assert refused(tmp_path, result, "damaged", "was deleted", "run again", words)
    assert not list((tmp_path / "d").rglob("*.zip*t"))
    server.reset()
    assert fetch().error is None
    assert server.ranges == [None]
    assert arrived(tmp_path)


def test_a_server_that_ignores_ranges(server, fetch, tmp_path):
    server.plans = [{"cut": HALF}, {"ranges": False}]
    assert fetch().error is None
    assert server.ranges[1].startswith("bytes=")
    assert arrived(tmp_path)


@pytest.mark.parametrize("careless", [False, True])
@pytest.mark.parametrize("content", [OTHER, zipped(seed=2, size=700_000), zipped(size=100_000)])
def test_two_versions_are_never_glued(server, fetch, tmp_path, careless, content):
    server.plans = [{"cut": HALF}]
    assert fetch(ATTEMPTS=1).error
    server.content, server.etag, server.hashes = content, '"second"', None
    server.plans = [{"careless": careless}]
    result = fetch()
    assert result.error is None
    assert (tmp_path / "out/t.zip").read_bytes() == content
    assert ("has changed, starting anew" in result.log) == careless
    assert server.ranges[1].startswith("bytes=")
    assert server.ranges[2:] == [None] * careless


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(server, fetch, tmp_path, status):
    busy = (status, {"message": "busy", "headers": {"Retry-After": "0"}})
    server.api = {"GetDatasetMetadata": [busy], "DownloadDataset": [busy]}
    server.plans = [{"cut": HALF}, {"status": status}]
    result = fetch(env={"KAGGLE_API_TOKEN": "token"})
    assert result.error is None
    assert "CC0-1.0" in result.log
    assert result.log.count(f"Kaggle: {status} ") == 3
    # the error page neither went into the file nor cost what was there
    assert server.ranges[1] == server.ranges[2] != None  # noqa: E711
    assert arrived(tmp_path)


def test_login_is_tried_again(server, fetch, tmp_path):
    busy = (503, {"message": "busy"})
    server.api = {"IntrospectToken": [busy, busy]}
    assert fetch(env={"KAGGLE_API_TOKEN": "token"}).error is None
    server.api = {"IntrospectToken": [busy] * 9}
    (tmp_path / f"d/{DATASET}.zip").unlink()
    (tmp_path / "out/t.zip").unlink()
    result = fetch(env={"KAGGLE_API_TOKEN": "token"}, ATTEMPTS=2)
    assert refused(tmp_path, result, "503 busy", "run again")


def test_the_waits_are_bounded(server, fetch, tmp_path):
    server.plans = [{"cut": 0}]
    server.api = {
        "DownloadDataset": [(429, {"message": "busy", "headers": {"Retry-After": "999"}})]
    }
    start = time.monotonic()
    assert fetch(LONGEST_WAIT=0.2).error is None
    assert 0.2 < time.monotonic() - start < 20


@pytest.mark.parametrize(("env", "lines"), [(KEY, 4), ({"KAGGLE_API_TOKEN": "token"}, 2)])
def test_an_unreachable_server(tmp_path, env, lines):
    script = "kaggle.ATTEMPTS, kaggle.FIRST_WAIT = 3, 0.01" + ONCE
    done = subprocess.run(
        command(script, NO_PORT), cwd=tmp_path, env=environment(tmp_path, **env),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"ERROR: Kaggle did not give {DATASET}: no connection")
    assert "run again" in done.stdout
    assert done.stdout.count("\n") == 1
    # with name and key the licence is asked for, twice; a token is not even looked at
    assert done.stderr.count("trying again") == (3 if env == KEY else 2)
    assert done.stderr.count("\n") == lines
    assert not list(tmp_path.glob("out/*"))


def test_another_sha256_than_expected(server, fetch, tmp_path):
    result = fetch(expected="0" * 64)
    found = hashlib.sha256(CONTENT).hexdigest()
    assert refused(tmp_path, result, found, "0" * 64, "download is kept", "data.sha256=null")
    assert (tmp_path / f"d/{DATASET}.zip").read_bytes() == CONTENT
    server.calls.clear()
    assert fetch(expected="0" * 64).error == result.error
    assert fetch(expected=found.upper()).error is None
    assert server.calls == []
    assert arrived(tmp_path)


def test_a_damaged_archive_from_before_is_replaced(server, fetch, tmp_path):
    kept = tmp_path / f"d/{DATASET}.zip"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT[:HALF])
    server.api = {"DownloadDataset": [(404, {"code": 404, "message": "no"})]}
    result = fetch()
    assert refused(tmp_path, result, "no data set")
    assert "was damaged" in result.log
    assert not kept.exists()
    assert fetch().error is None
    assert arrived(tmp_path)


def test_an_older_target_is_replaced(server, fetch, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/t.zip").write_bytes(b"old")
    assert fetch().error is None
    assert fetch().error is None
    assert arrived(tmp_path)


def test_data_sets_of_one_name_are_told_apart(server, fetch, tmp_path):
    other = tmp_path / "d/another/faces.zip"
    other.parent.mkdir(parents=True)
    other.write_bytes(OTHER)
    assert fetch().error is None
    assert (tmp_path / "out/t.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["faces", "a/b/c", "../b", "a/..", "a/"])
def test_a_name_that_is_none(server, fetch, tmp_path, name):
    assert "data.sets.*.kaggle" in fetch(dataset=name).error
    assert server.calls == []


def test_a_full_disk_is_one_error_and_loses_nothing(server, fetch, tmp_path):
    result = fetch(largest=3 * BLOCK)
    assert refused(tmp_path, result, "on disk", "Make room")
    assert fetch().error is None
    assert server.ranges == [None, f"bytes={3 * BLOCK}-"]
    assert arrived(tmp_path)


def test_two_experiments_share_one_download(server, fetch, tmp_path):
    kept = tmp_path / f"d/{DATASET}.zip"
    kept.parent.mkdir(parents=True)
    lock = FileLock(f"{kept}.lock", thread_local=False)
    lock.acquire()

    def finish() -> None:
        kept.write_bytes(CONTENT)
        lock.release(force=True)

    threading.Timer(0.5, finish).start()
    result = fetch()
    assert result.error is None
    assert "faces.zip is in use by another process: waiting" in result.log
    assert server.calls == []
    assert arrived(tmp_path)
