# SPDX-License-Identifier: Apache-2.0
"""An answer on the first screen."""

from collections.abc import Sequence
from typing import NamedTuple


class Said(NamedTuple):
    """A sentence, the anchor of its evidence, and what the evidence is called.

    Backticks and stars in ``text`` mean what they do in the report's blocks. ``loud`` is a warning.
    """

    text: str
    anchor: str
    evidence: str
    loud: bool = False


class Claim(NamedTuple):
    """A question and its answer."""

    question: str
    answer: Sequence[Said]
