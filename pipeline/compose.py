# SPDX-License-Identifier: Apache-2.0
"""Compose conf/ into params.yaml, as ``dvc exp run`` does and ``dvc repro`` does not."""

import re
import shlex
from pathlib import Path

from dvc.utils.hydra import compose_and_dump, to_hydra_overrides
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import OverrideParseException

from facetell.common.errors import UserError
from pipeline.stage import run


def main(*overrides: str) -> None:
    compose(Path("params.yaml"), list(overrides))


def compose(target: Path, overrides: list[str]) -> None:
    """Write the composition of conf/config.yaml with Hydra overrides to ``target``.

    Raises
    ------
    UserError : an override is not of Hydra's grammar, or names several values; it says how the
        value is quoted.
    """
    for override in overrides:
        if not _is_one_value(override):
            raise UserError(
                f"{override} is not a single value to Hydra, which reads it; if it is meant as it "
                f"stands, type {shlex.quote(quoted(override))}"
            )
    conf = str(Path("conf").resolve())
    compose_and_dump(target, conf, None, "config", str(Path(".dvc").resolve()), overrides)


def _is_one_value(override: str) -> bool:
    try:
        return not to_hydra_overrides([override])[0].is_sweep_override()
    except OverrideParseException:
        return False


def quoted(override: str) -> str:
    """An override whose value Hydra takes as it stands; a shell wants quotes of its own around it.

    >>> print(quoted("data.archive=/data/faces (1).zip"))
    data.archive="/data/faces (1).zip"
    """
    key, _, value = override.partition("=")
    # a dollar and a brace would refer to another parameter
    literal = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    return f"{key}={QuotedString(literal, Quote.double).with_quotes()}"


if __name__ == "__main__":
    run(main)
