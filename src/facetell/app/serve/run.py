# SPDX-License-Identifier: Apache-2.0
"""Starts the server: what ``facetell serve`` calls."""

import ipaddress
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from facetell.app.serve.api import application
from facetell.app.serve.limits import Limits
from facetell.app.serve.models import Models
from facetell.common.errors import UserError

BEYOND = (
    "facetell: warning: {host} is reached from other machines: put a server in front that "
    "encrypts, asks who is there and limits the connections; see docs/serve.md"
)


def run(
    files: Sequence[Path],
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    names: Sequence[str] = (),
) -> None:
    """Serve until the process is stopped; ``files`` are weights, ``names`` host names.

    Nothing of a request is logged, not even that there was one.

    Raises
    ------
    UserError : a model cannot be served, or the address is taken or not this machine's.
    """
    models = Models(files, limits.memory_bytes)
    app = application(models, limits, tuple(names))
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it quotes what is sent
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        ws="none",
        access_log=False,
        log_level="critical",  # what goes wrong is said by Guard, without values
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
    )
    try:
        socket = config.bind_socket()
    except SystemExit as error:  # uvicorn's way to say so
        raise UserError(
            f"{host}:{port} cannot be taken: another program has it, or this machine is not "
            "called so; choose another --port or --host"
        ) from error
    if not local(host):
        print(BEYOND.format(host=host), file=sys.stderr)
    port = socket.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    print(f"facetell serves {', '.join(models.known)} on http://{shown}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[socket])


def local(host: str) -> bool:
    """Whether an address is reached from this machine only.

    >>> local("127.0.0.1"), local("localhost"), local("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
