# SPDX-License-Identifier: Apache-2.0
"""Settings that users write, checked by pydantic, with errors that a person can read."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from facetell.common.errors import UserError

T = TypeVar("T")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # types of pydantic's errors
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")


def checked(kind: type[T], settings: Mapping[str, Any], where: str) -> T:
    """``kind``, a pydantic model or dataclass that forbids extra fields, made of ``settings``.

    Raises
    ------
    UserError : a setting is unknown, missing or not allowed. One line says where, which key, what
        is allowed and what was given, for every such setting.

    >>> from pydantic import Field
    >>> from pydantic.dataclasses import dataclass
    >>> @dataclass(config={"extra": "forbid"})
    ... class Crop:
    ...     pixels: int = Field(ge=16)
    >>> checked(Crop, {"pixels": 160}, "crop")
    Crop(pixels=160)
    >>> checked(Crop, {"pixels": 3}, "crop")
    Traceback (most recent call last):
    facetell.common.errors.UserError: crop: pixels should be greater than or equal to 16, got 3
    """
    try:
        return kind(**{str(key): value for key, value in settings.items()})
    except ValidationError as error:
        raise UserError(f"{where}: {_in_words(kind, settings, error)}") from error


def _in_words(kind: type, settings: Mapping[str, Any], error: ValidationError) -> str:
    allowed: dict[str, list[str]] = {}  # by key; a union has an error for each of its types
    given: dict[str, Any] = {}
    said = []
    for one in error.errors(include_url=False):
        key = _key(one["loc"], settings)
        # Input should, Tuple should, ...
        rule = re.sub(r"^(Value error, |\w+ (?=should ))", "", one["msg"])
        if not key:  # of several settings together
            said.append(rule)
        elif one["type"] in UNKNOWN:
            known = ", ".join(_fields(kind, one["loc"][:-1]))
            said.append(f"unknown setting {key}; there are {known}")
        elif one["type"] in MISSING:
            said.append(f"{key} is missing")
        else:
            allowed.setdefault(key, []).append(rule)
            given[key] = one["input"]
    for key, rules in allowed.items():
        first, *others = dict.fromkeys(rules)
        rule = " or ".join([first, *(other.removeprefix("should be ") for other in others)])
        said.append(f"{key} {rule}, got {given[key]!r}")
    return "; ".join(said)


def _key(loc: tuple[int | str, ...], settings: Any) -> str:
    """``train.epochs``: the keys that lead to a setting, without pydantic's names of types."""
    keys: list[str] = []
    for part in loc:
        listed = isinstance(settings, list | tuple) and isinstance(part, int)
        if keys and not listed and not isinstance(settings, Mapping):
            break
        keys.append(str(part))
        try:
            settings = settings[part]
        except (LookupError, TypeError):
            settings = None
    return ".".join(keys)


def _fields(kind: Any, loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        fields = getattr(kind, "__pydantic_fields__", {})
        kind = fields[part].annotation if part in fields else None
        kind = next((one for one in get_args(kind) if one is not type(None)), kind)  # of X | None
    return list(getattr(kind, "__pydantic_fields__", {}))
