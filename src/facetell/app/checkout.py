# SPDX-License-Identifier: Apache-2.0
"""The checkout that a command is called in: what needs the repository runs as a module of it.

The installed package has no pipeline, and knows nothing of dvc. ``facetell compare`` and the like
start ``python -m pipeline.NAME`` in the checkout, with the Python that runs ``facetell``.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from facetell.common.errors import UserError

SIGNS = ("dvc.yaml", "pipeline/__init__.py")  # what tells a checkout of facetell


def checkout(start: Path | None = None) -> Path:
    """The folder of the checkout that ``start`` lies in (None: the current folder).

    Raises
    ------
    UserError : it lies in none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if all((folder / sign).is_file() for sign in SIGNS):
            return folder
    raise UserError(
        f"{here} is not in a checkout of facetell, which this command reads: go to the folder "
        "that has dvc.yaml and pipeline/, or get one with git clone"
    )


def run_in_checkout(module: str, arguments: Sequence[str] = ()) -> int:
    """Run ``pipeline.<module>`` in the checkout of the current folder; returns its exit status.

    Paths among the ``arguments`` must be absolute, as the module runs in the checkout's folder.

    Raises
    ------
    UserError : the current folder lies in no checkout.
    """
    command = [sys.executable, "-m", f"pipeline.{module}", *arguments]
    return subprocess.run(command, cwd=checkout(), check=False).returncode
