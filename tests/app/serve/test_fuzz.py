# SPDX-License-Identifier: Apache-2.0
"""Requests made from the OpenAPI document, right and wrong: every answer is as documented."""

import json
from pathlib import Path

import hypothesis
import pytest
import schemathesis
import torch
from hypothesis import strategies
from jsonschema import Draft202012Validator
from schemathesis import APIOperation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from support import encoded
from support.serving import PHOTO, photo, weights

from facetell.app.serve.api import application
from facetell.app.serve.limits import Limits
from facetell.app.serve.models import Models

LOCAL = {"Host": "localhost"}
ROUTES = [
    ("GET", "/healthz"),
    ("GET", "/api/v1/models"),
    ("POST", "/api/v1/predict"),
    ("POST", "/api/v1/explain"),
    ("POST", "/api/v1/sheet"),
]
PHOTOS = [PHOTO, encoded(photo((70, 50), 1), "PNG"), encoded(photo((40, 60), 2), "GIF")]
schemathesis.openapi.format("binary", strategies.sampled_from(PHOTOS))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory):
    # what other tests compute on this thread may have left it on, and Hypothesis wants all floats
    torch.set_flush_denormal(False)
    home: Path = tmp_path_factory.mktemp("models")
    limits = Limits()
    app = application(Models([weights(home, "first")], limits.memory_bytes), limits)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=LOCAL)


def is_wrong(operation: APIOperation, body: object) -> bool:
    """Whether a form is wrong as it is sent: fields are texts, one for each value of a list."""
    if not isinstance(body, dict):
        return True
    schema = next(iter(operation.body)).definition["schema"]
    received = {}
    for name, value in body.items():
        kind = schema["properties"].get(name, {})
        values = value if isinstance(value, list) else [value]
        values = [as_received(one, kind.get("items", kind).get("type")) for one in values]
        if kind.get("type") == "array" or len(values) > 1:
            received[name] = values
        elif values:
            received[name] = values[0]
    return not Draft202012Validator(schema).is_valid(received)


def as_received(value: object, kind: str | None) -> object:
    if isinstance(value, bytes):
        return "a photo"
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        return text if kind == "string" else json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_answer_is_as_documented(document, route, mode):
    method, path = route
    operation = document[path][method]
    if mode == GenerationMode.NEGATIVE and method == "GET":
        return  # nothing can be wrong with it

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],  # a failure is not made smaller, which takes minutes
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case):
        answer = case.call(headers=LOCAL)
        excluded = [positive_data_acceptance]
        # 413 is no refusal to the check, which does not know either that a form is made of texts
        if answer.status_code == 413 or not is_wrong(operation, case.body):
            excluded.append(negative_data_rejection)
        case.validate_response(answer, excluded_checks=excluded)
        seen.append((answer.status_code, answer.json() if answer.status_code != 200 else {}))

    seen: list[tuple[int, dict[str, str]]] = []
    check()
    if mode == GenerationMode.POSITIVE:
        # of what the document allows, only faces may be wanting
        assert 200 in {status for status, _ in seen}
        refusals = [why for status, why in seen if status not in (200, 404)]
        assert all(why["code"] == "no_face" for why in refusals)


def test_every_route_is_tried(document):
    assert {one.ok().label for one in document.get_all_operations()} == set(map(" ".join, ROUTES))
