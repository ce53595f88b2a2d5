# SPDX-License-Identifier: Apache-2.0
"""Detectors on the Hugging Face Hub: the files of a repository, fetched from it and sent to it.

A repository has ``model.safetensors`` (weights with the card in their metadata, as
``facetell.models.detector.save`` writes them), ``config.json`` (the same card, for people and for
the Hub) and ``README.md`` (the model card). The Hub's address is that of the environment variable
``HF_ENDPOINT``, where it is set.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from facetell.common.errors import UserError, printable
from facetell.common.files import whole, write_json, write_text

WEIGHTS, CONFIG, README = "model.safetensors", "config.json", "README.md"
LIBRARY = "facetell"
REPO = re.compile(r"[\w-][\w.-]*/[\w.-]+")  # owner/name
CARDS = ("network", "image_size", "threshold")  # what a file of ours has, of every version


def download(
    repo: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """The weights of a detector: of a repository of the Hub, or in a folder on this machine.

    What was downloaded before is not downloaded again, and without a connection it is used as it
    is.

    Parameters
    ----------
    repo : ``owner/name``, or a folder that ``write_folder`` wrote.
    revision : of the repository: a branch, a tag or a commit; None: the newest.
    token : for a repository that is private or gated; None: that of ``hf auth login``.
    cache_dir : where downloads are kept; None: the Hub's own cache.

    Raises
    ------
    UserError : there is no such repository, revision or folder; it is closed to the user, has no
        detector of facetell, or cannot be reached; the download was cut off.

    >>> download("someone")
    Traceback (most recent call last):
    facetell.common.errors.UserError: someone: there is no such folder, and it is no owner/name ...
    """
    folder = Path(repo)
    if folder.is_dir():
        return _of_folder(folder, revision)
    name = str(repo)
    if not REPO.fullmatch(name):
        raise UserError(
            f"{printable(name)}: there is no such folder, and it is no owner/name of a repository; "
            "of a file take Detector.load"
        )

    def fetch() -> Path:
        from huggingface_hub import hf_hub_download

        place: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
        place["endpoint"] = endpoint()
        config = hf_hub_download(name, CONFIG, **place)  # first: weights of others may be large
        if _library(Path(config)) != LIBRARY:
            raise UserError(f"{name} is no detector of facetell: its {CONFIG} is of another kind")
        return Path(hf_hub_download(name, WEIGHTS, **place))

    return of_the_hub(name, revision, fetch)


def _library(config: Path) -> Any:
    """Which library a repository says that it is of."""
    with suppress(ValueError):
        said = json.loads(config.read_text(encoding="utf-8"))
        return said.get("library_name") if isinstance(said, dict) else None
    return None


def _of_folder(folder: Path, revision: str | None) -> Path:
    if revision:
        raise UserError(f"a revision is of a repository, but {printable(folder)} is a folder")
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"{printable(folder)} has no {WEIGHTS}: name a folder that `facetell card` wrote"
        )
    return folder / WEIGHTS


def endpoint() -> str | None:
    """The Hub's address, where it is not the usual one."""
    return os.environ.get("HF_ENDPOINT") or None


def of_the_hub(repo: str, revision: str | None, act: Callable[[], Path]) -> Path:
    """What ``act`` gives, with the client's errors in words.

    Raises
    ------
    UserError : for whatever the client of the Hub raises, in one line.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return act()
    except UserError:
        raise
    except LocalEntryNotFoundError as error:  # before the next: it is one of them
        raise UserError(
            f"{repo} was not downloaded before, and the Hub cannot be reached: check the "
            "connection (and HF_HUB_OFFLINE), or give a folder"
        ) from error
    except GatedRepoError as error:
        raise UserError(
            f"{repo} is open only to those who accept its terms: do so on its page, and log in "
            "with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"there is no model {repo} on the Hub, nor a folder of that name (a private one needs "
            "hf auth login)"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{repo} has no revision {revision}") from error
    except EntryNotFoundError as error:
        raise UserError(
            f"{repo} is no detector of facetell: it lacks {CONFIG} or {WEIGHTS}"
        ) from error
    except Exception as error:  # the client's own errors of HTTP have no name that lasts
        raise UserError(
            f"{repo}: the Hub gave an error ({' '.join(str(error).split())[:200]}); run this again "
            "to go on"
        ) from error


def write_folder(folder: str | Path, weights: str | Path, readme: str) -> list[Path]:
    """Write a repository of one detector, for ``upload`` or to be given away; returns its files.

    Parameters
    ----------
    folder : is made if need be; other files in it stay.
    weights : the file of a trained detector.
    readme : text of the model card.

    Raises
    ------
    UserError : the weights are missing or not of facetell; the folder cannot be written.
    """
    folder, weights = Path(folder), Path(weights)
    config = {"library_name": LIBRARY, "architecture": "", **metadata_of(weights)}
    config["architecture"] = config["network"]
    with whole(folder / WEIGHTS) as temporary:
        shutil.copyfile(weights, temporary)
    write_json(folder / CONFIG, config, digits=9)
    write_text(folder / README, readme)
    return [folder / name for name in (WEIGHTS, CONFIG, README)]


def metadata_of(weights: str | Path) -> Mapping[str, Any]:
    """The card in the metadata of a weights file, without its weights being read.

    Raises
    ------
    UserError : there is no such file, or it is not of facetell.

    >>> metadata_of("missing.safetensors")
    Traceback (most recent call last):
    facetell.common.errors.UserError: missing.safetensors: there is no such file
    """
    if not Path(weights).is_file():
        raise UserError(f"{printable(weights)}: there is no such file")
    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
        said = {name: json.loads(value) for name, value in sorted(metadata.items())}
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{printable(weights)} is not a weights file of facetell") from error
    if missing := [name for name in CARDS if name not in said]:
        raise UserError(
            f"{printable(weights)} is not a weights file of facetell: its metadata lack "
            f"{', '.join(missing)}"
        )
    return said


def upload(
    folder: str | Path, repo: str, *, token: str | None = None, private: bool = False
) -> str:
    """Send what ``write_folder`` wrote to the Hub; returns the address of its page.

    The repository is made if there is none. Only the three files of a detector are sent.

    Raises
    ------
    UserError : no right to write there, or the Hub cannot be reached.
    """
    if not REPO.fullmatch(repo):
        raise UserError(f"{printable(repo)} is no owner/name of a repository")

    def send() -> Path:
        from huggingface_hub import HfApi

        api = HfApi(endpoint=endpoint(), token=token)
        api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=[WEIGHTS, CONFIG, README],
            commit_message="A detector of facetell, with its card",
        )
        return Path(folder)

    of_the_hub(repo, None, send)
    from huggingface_hub import constants

    return f"{endpoint() or constants.ENDPOINT}/{repo}"
