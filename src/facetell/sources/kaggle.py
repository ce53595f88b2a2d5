"""Kaggle data sets, through the official client and the user's own credentials."""

import io
import os
import shutil
from contextlib import redirect_stdout
from pathlib import Path

from facetell.archive import open_archive
from facetell.errors import UserError
from facetell.files import whole
from facetell.sources.local import verify


def fetch(target: Path, *, dataset: str, expected: str | None, downloads: Path) -> None:
    """Download ``dataset`` (``owner/name``) to ``target``.

    The client keeps what it has in ``downloads`` and goes on from there after an interruption.

    Raises
    ------
    UserError : no credentials, refused, unreachable, cut off, or another sha256 than ``expected``.
    """
    api = _client(dataset)
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        api.dataset_download_files(dataset, path=str(downloads), quiet=False)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"Kaggle did not give {dataset}: {error}. Check your connection, accept the terms on "
            f"https://www.kaggle.com/datasets/{dataset}, or download the archive yourself and set "
            "data.archive=PATH.zip"
        ) from error
    archive = downloads / f"{dataset.split('/')[1]}.zip"
    open_archive(archive).close()
    verify(archive, expected, name=archive)
    # a second name, not a copy: the client finds its download again and does not repeat it
    target.unlink(missing_ok=True)
    try:
        os.link(archive, target)
    except OSError:
        with whole(target) as temporary:
            shutil.copyfile(archive, temporary)


def _client(dataset: str):  # type: ignore[no-untyped-def]
    """An authenticated client; its own help text and exit are turned into one error."""
    try:
        with redirect_stdout(io.StringIO()):
            from kaggle.api.kaggle_api_extended import KaggleApi  # authenticates on import

            api = KaggleApi()
            api.authenticate()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"no Kaggle credentials were found, and {dataset} needs them: run `kaggle auth login`, "
            "or put an API token into ~/.kaggle/access_token or the variable KAGGLE_API_TOKEN; or "
            "download the archive yourself and set data.archive=PATH.zip"
        ) from error
    return api
