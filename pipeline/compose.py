# SPDX-License-Identifier: Apache-2.0
"""Compose conf/ into params.yaml, as ``dvc exp run`` does and ``dvc repro`` does not."""

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump


def compose(target: Path, overrides: list[str]) -> None:
    """Write the composition of conf/config.yaml with Hydra overrides to ``target``."""
    conf = str(Path("conf").resolve())
    compose_and_dump(target, conf, None, "config", str(Path(".dvc").resolve()), overrides)


if __name__ == "__main__":
    compose(Path("params.yaml"), sys.argv[1:])
