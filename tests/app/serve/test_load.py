# SPDX-License-Identifier: Apache-2.0
"""Twenty users at once, a third of whose requests are bad: each is answered, memory stays.

``benchmarks/serve.py`` does the same with 500 requests and a large network.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import psutil
import pytest
from support.serving import PHOTO, served, weights

from facetell.app.serve.limits import Limits

AT_ONCE = 20


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("models")
    with served([weights(home, "first")], Limits(upload_mb=1, upload_seconds=1)) as found:
        yield found


async def crowd(address, requests):
    """The number of answers by what was sent and the status that came back."""
    turns, seen = asyncio.Semaphore(AT_ONCE), Counter()
    kinds = [
        ("good", PHOTO, {"blur": "1"}), ("good", PHOTO, {}), ("words", b"words", {}),
        ("good", PHOTO, {"jpeg": "40"}), ("good", PHOTO, {}), ("cut off", PHOTO[:800], {}),
        ("good", PHOTO, {}), ("good", PHOTO, {}), ("large", bytes(1_500_000), {}),
        ("good", PHOTO, {}), ("good", PHOTO, {}), ("nan", PHOTO, {"blur": "nan"}),
    ]  # fmt: skip

    async def one(client, number):
        name, data, fields = kinds[number % len(kinds)]
        async with turns:
            answer = await client.post("/api/v1/explain", files={"photo": data}, data=fields)
        seen[name, answer.status_code] += 1

    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        await asyncio.gather(*(one(client, number) for number in range(requests)))
    return seen


def test_none_is_lost_and_memory_is_flat(address):
    asyncio.run(crowd(address, 60))
    before = psutil.Process().memory_info().rss
    seen = asyncio.run(crowd(address, 240))
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    expected = {("good", 200): 160, ("words", 415): 20, ("cut off", 422): 20,
                ("large", 413): 20, ("nan", 422): 20}  # fmt: skip
    assert seen == expected
    assert grown < 50


def raw(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_hostile_connections_do_not_stop_others(address):
    """Headers without end, a body that does not come, one that is announced as endless."""
    head = b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
    waiting = [raw(address) for _ in range(30)]
    for place, one in enumerate(waiting):
        one.sendall(head if place % 2 else head + kind + b"Content-Length: 1000\r\n\r\n--b")
    with raw(address) as huge:
        huge.sendall(head + b"X: " + b"x" * 100_000)
        assert huge.recv(100).startswith(b"HTTP/1.1 400")
    with raw(address) as endless:
        endless.sendall(head + kind + b"Content-Length: 99999999999\r\n\r\n")
        time.sleep(1.2)  # what is refused is still read for as long as an upload may take
        assert endless.recv(100).startswith(b"HTTP/1.1 413")
    assert httpx.get(f"{address}/healthz", timeout=10).status_code == 200
    answered = waiting[0].recv(100)
    assert answered.startswith(b"HTTP/1.1 408")
    for one in waiting:
        one.close()
    assert (
        httpx.post(f"{address}/api/v1/predict", files={"photo": PHOTO}, timeout=30).status_code
        == 200
    )


def test_who_goes_away_leaves_nothing_behind(address, capfd):
    head = (
        b"POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n"
    )
    body = (
        b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        + PHOTO
        + b"\r\n--b--\r\n"
    )
    for turn in range(40):
        sent = body[: -turn * 10 or None] if turn < 20 else body  # some go while they send
        with raw(address) as one:
            one.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + sent)
    for _ in range(100):
        if httpx.get(f"{address}/healthz", timeout=10).json()["waiting"] == 0:
            assert capfd.readouterr().err == ""
            return
        time.sleep(0.1)
    pytest.fail("requests are still waiting")
