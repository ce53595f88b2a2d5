# SPDX-License-Identifier: Apache-2.0
"""What differs between two trees of settings, as few dotted keys as say it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from facetell.report.number_format import counted

LONGEST = 40  # characters of a value in words


class Absent(Enum):
    """The value of a key that one side does not have; ``None`` is a value of its own."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class Change:
    """One dotted ``key`` and its value before and after; ``ABSENT`` where there is none.

    Examples
    --------
    >>> str(Change("train.epochs", None, 2))
    'train.epochs: null → 2'
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {in_words(self.old)} → {in_words(self.new)}"

    def as_json(self) -> dict[str, Any]:
        """The same for a JSON file: a value that is absent has no key."""
        sides = {"old": self.old, "new": self.new}
        return {"key": self.key} | {k: v for k, v in sides.items() if v is not ABSENT}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Where two nested mappings differ, in the order of ``new``, then what only ``old`` has.

    A mapping that one side lacks is one change, not one for each key in it. Lists are values.

    Examples
    --------
    >>> before = {"train": {"seed": 0, "epochs": None}, "models": {"swin": {"paper": {}}}}
    >>> after = {"train": {"seed": 0, "epochs": 2}, "models": {"vit": {"paper": {}}}}
    >>> for change in changes(before, after):
    ...     print(change)
    train.epochs: null → 2
    models.vit: absent → 1 key
    models.swin: 1 key → absent
    """
    return list(_changes(old, new, ()))


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[Change]:
    for key in dict.fromkeys([*new, *old]):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        path = (*above, str(key))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _changes(before, after, path)
        elif before != after:
            yield Change(".".join(path), before, after)


def in_words(value: Any) -> str:
    """A value as YAML has it, on one short line; of a mapping only how large it is.

    Examples
    --------
    >>> in_words(True), in_words(None), in_words("swin"), in_words([1, 2]), in_words({"a": 1})
    ('true', 'null', 'swin', '[1, 2]', '1 key')
    """
    if value is ABSENT:
        return ABSENT.value
    if isinstance(value, Mapping):
        return counted(len(value), "key") if value else "{}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split()) or "''"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
