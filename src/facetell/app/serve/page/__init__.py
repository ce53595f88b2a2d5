# SPDX-License-Identifier: Apache-2.0
"""The page: files of our own, read once, and a page that says what the API has."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jinja2
from fastapi import APIRouter, Response

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/script.js": ("script.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def routes(document: Callable[[], dict[str, Any]]) -> APIRouter:
    """The page and its files, and /api, made of the OpenAPI ``document``."""
    router = APIRouter(include_in_schema=False)
    for place, (name, kind) in FILES.items():
        content = files(__name__).joinpath(name).read_bytes()
        router.add_api_route(place, _giving(content, kind), methods=["GET", "HEAD"])

    @router.get("/api")
    async def api() -> Response:
        """What may be asked, in words."""
        return Response(described(document()), media_type="text/html; charset=utf-8")

    return router


def _giving(content: bytes, kind: str) -> Callable[[], Any]:
    async def give() -> Response:
        return Response(content, media_type=kind)

    return give


def described(document: dict[str, Any]) -> str:
    """An OpenAPI document as a page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, ""), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("api.html").render(
        about=document["info"]["description"],
        routes=[_route(path, *one) for path, by in document["paths"].items() for one in by.items()],
    )


def _route(path: str, method: str, one: dict[str, Any]) -> dict[str, Any]:
    body = one.get("requestBody", {}).get("content", {}).get("multipart/form-data", {})
    fields = body.get("schema", {}).get("properties", {})
    answers = {
        status: ", ".join(sorted(answer.get("content", {})))
        if status == "200"
        else answer["description"]
        for status, answer in one["responses"].items()
    }
    return {
        "method": method.upper(),
        "path": path,
        "about": one["description"],
        "fields": {name: _field(about) for name, about in fields.items()},
        "answers": answers,
    }


def _field(about: dict[str, Any]) -> dict[str, str]:
    kind = about.get("type", "")
    if "enum" in about:
        kind = "one of " + ", ".join(about["enum"])
    elif kind == "array":
        kind = "may be given again"
    elif about.get("format") == "binary":
        kind = "file"
    if "minimum" in about:
        kind = f"{kind}, {about['minimum']:g} to {about['maximum']:g}"
    return {"kind": kind, "about": about.get("description", "")}
