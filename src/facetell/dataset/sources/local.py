# SPDX-License-Identifier: Apache-2.0
"""An archive that the user already has: checked and copied, never changed."""

import shutil
from pathlib import Path

from facetell.common.errors import UserError
from facetell.common.files import sha256, whole
from facetell.images.opening import open_archive


def fetch(target: Path, *, archive: Path, expected: str | None) -> None:
    """Copy ``archive`` to ``target``.

    Raises
    ------
    UserError : missing, not a zip or cut off, or its sha256 is not ``expected``.
    """
    if not archive.is_file():
        raise UserError(f"data.archive: there is no file {archive}")
    open_archive(archive).close()
    with whole(target) as temporary:
        shutil.copyfile(archive, temporary)
        verify(temporary, expected, name=archive)


def verify(path: Path, expected: str | None, name: Path | str) -> None:
    """Compare the sha256 of ``path`` with ``expected`` (None: anything goes)."""
    if expected and (actual := sha256(path)) != expected.lower():
        raise UserError(
            f"{name} has sha256 {actual}, but data.sha256 says {expected}; the file has changed or "
            "is damaged: get it again, or set data.sha256=null to take it as it is"
        )
