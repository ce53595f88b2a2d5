# SPDX-License-Identifier: Apache-2.0
"""Around everything: who may ask, which headers an answer has, and what is said of a fault of ours.

A page elsewhere could make a visitor's browser ask a server on the visitor's own machine. It is
kept from it in two ways. A name that is made to lead here (DNS rebinding) is none that is allowed;
addresses are, since a browser does not take them for another page's origin. And what a browser says
comes from another origin is refused.
"""

import ipaddress
import sys
import traceback
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facetell.app.serve.refusals import Code, Refused

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def refusal(why: Refused) -> Response:
    """The answer that says why."""
    headers = {} if why.retry_after is None else {"Retry-After": str(why.retry_after)}
    return JSONResponse({"code": why.code, "sentence": why.sentence}, why.status, headers)


class Guard:
    """ASGI middleware; ``names`` are the host names under which the server may be called."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self.app = app
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self.check(scope)
            await self.app(scope, receive, guarded)
        except Refused as why:
            await refusal(why)(scope, receive, guarded)
        except ClientDisconnect:  # nobody is there to be answered
            return
        except Exception as error:
            say(error)
            if begun:
                raise
            fault = Refused(Code.INTERNAL, "The server has a fault; its log says more.")
            await refusal(fault)(scope, receive, guarded)

    def check(self, scope: Scope) -> None:
        """Refused for a name that is not ours, and for what another page has sent."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.known(host):
            raise Refused(
                Code.WRONG_HOST, "This server is not called so; it is started with --name NAME."
            )
        if scope["method"] in ("GET", "HEAD"):
            return
        origin = headers.get("origin")
        other = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if other or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(Code.FOREIGN_ORIGIN, "Other pages may not use this server.")

    def known(self, host: str) -> bool:
        """Whether a Host header has an address, or one of the names.

        >>> guard = Guard(None, ["faces.example"])
        >>> [guard.known(host) for host in ("127.0.0.1:8000", "[::1]:80", "faces.example", "evil")]
        [True, True, True, False]
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True


def say(error: Exception) -> None:
    """A fault on stderr: where it is and of which kind, without values, which may be a photo's."""
    where = "".join(traceback.format_tb(error.__traceback__))
    print(
        f"facetell: fault of the server: {type(error).__name__}\n{where}", end="", file=sys.stderr
    )
