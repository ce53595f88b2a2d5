# SPDX-License-Identifier: Apache-2.0
"""Parquet shards with the images' bytes: a user's own files, or a data set of the Hugging Face Hub.

The Hub's address is that of the environment variable ``HF_ENDPOINT``, where it is set.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facetell.common.errors import UserError
from facetell.common.files import write_json
from facetell.common.progress import progress
from facetell.dataset.census import HIDDEN, kind_of
from facetell.dataset.hints import Hints
from facetell.dataset.listed import needed
from facetell.dataset.tree import hidden
from facetell.images.archive import SHARDS
from facetell.images.shards import below, features, metadata, shard

REPO = re.compile(r"[\w-][\w.-]*/[\w.-]+")  # owner/name
CONVERTED = "refs/convert/parquet"  # where the Hub keeps what it converts itself


def fetch(
    target: Path, given: Path, repo: str, hints: Hints, *, revision: str | None, downloads: Path
) -> None:
    """Store shards in the folder ``target``, with what is to be read of them.

    Parameters
    ----------
    given : a Parquet file or a folder of them, if there is such a path.
    repo : what the user said, ``owner/name`` where there is no such path.
    revision : of the repository: a branch, a tag or a commit.
    downloads : folder in which downloads are kept and resumed.

    Raises
    ------
    UserError : neither a path nor a repository that can be read; shards that are damaged, differ
        in their columns, or hold no images.
    """
    if not given.exists():
        given = download(repo, revision, downloads)
    elif revision:
        raise UserError(f"data.revision is of a repository, but data.hub is the path {given}")
    files, described = _described(given, hints)
    for old in list(below(target)):
        old.unlink()
    for name, file in progress(files.items(), "copying shards"):
        copy = target / f"{name}.parquet"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    write_json(target / SHARDS, described)


def in_place(folder: Path, given: Path, hints: Hints) -> None:
    """Write to ``folder`` what ``Shards`` has to know of a Parquet file, or of a folder of them.

    Raises
    ------
    UserError : shards that are damaged, differ in their columns, or hold no images.
    """
    files, described = _described(given, hints)
    elsewhere = {name: os.path.abspath(file) for name, file in files.items()}
    write_json(folder / SHARDS, described | {"files": elsewhere, "label": str(given)})


def _described(given: Path, hints: Hints) -> tuple[dict[str, Path], dict[str, object]]:
    """Parquet files by the names of their shards, and what is to be read of them."""
    left_out: Counter[str] = Counter()
    root = given.parent if given.is_file() else given
    files = [given] if given.is_file() else sorted(_shards(given, left_out))
    if not files:
        raise UserError(
            f"data.hub: {given} has no Parquet files"
            + (f"; there are {', '.join(f'{n:,} {why}' for why, n in left_out.items())}; "
               f"for a repository try data.revision={CONVERTED}" if left_out else "")
        )  # fmt: skip
    image = image_column(files, hints)
    described: dict[str, object] = {"image": image, "left_out": dict(sorted(left_out.items()))}
    return {shard(file, root): file for file in files}, described


def holds_images(file: Path) -> bool:
    """Whether a Parquet file has a column of bytes: of images, not of their paths.

    Raises
    ------
    UserError : it is none, or is cut off.
    """
    metadata(file)
    return bool(_leaves(pq.read_schema(file)))


def image_column(files: Iterable[Path], hints: Hints) -> str:
    """The column with the images' bytes, the same in every shard, as Parquet names it.

    Raises
    ------
    UserError : there is none, there are several, or the shards differ.
    """
    found: dict[str, Path] = {}
    columns: dict[tuple[str, ...], Path] = {}
    for file in files:
        metadata(file)
        schema = pq.read_schema(file)
        columns.setdefault(tuple(schema.names), file)
        found.setdefault(_image(schema, features(file), hints, file), file)
    for several in (found, columns):
        if len(several) > 1:
            one, other, *_ = several.values()
            raise UserError(
                f"data.hub: {one} and {other} have other columns: give them as sets of their own"
            )
    return next(iter(found))


def _image(schema: pa.Schema, noted: dict[str, object], hints: Hints, file: Path) -> str:
    leaves = _leaves(schema)
    if not leaves:
        raise UserError(
            f"data.hub: {file} has no column with the bytes of images; it has "
            f"{', '.join(schema.names)}"
        )
    if "image" not in hints.columns:
        kinds = {name: said for name in leaves if isinstance(said := noted.get(name), dict)}
        images = [name for name, said in kinds.items() if said.get("_type") == "Image"]
        only = images if len(images) == 1 else list(leaves)
        if len(only) == 1:
            return leaves[only[0]]
    return leaves[needed(pd.Index(list(leaves)), "image", hints, str(file))]


def _leaves(schema: pa.Schema) -> dict[str, str]:
    """Columns that hold bytes, and where in them, as Parquet names it."""
    leaves = {}
    for field in schema:
        type_ = field.type
        if pa.types.is_struct(type_) and type_.get_field_index("bytes") >= 0:
            leaves[field.name] = f"{field.name}.bytes"
        elif pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
            leaves[field.name] = field.name
    return leaves


def _shards(root: Path, left_out: Counter[str]) -> Iterable[Path]:
    """Parquet files below ``root``; all others are counted."""
    for folder, _, files in os.walk(root, followlinks=True):
        for name in files:
            path = Path(folder) / name
            if hidden(path.relative_to(root).as_posix()):
                left_out[HIDDEN] += 1
            elif path.suffix.lower() == ".parquet":
                yield path
            else:
                left_out[kind_of(path.suffix.lower())] += 1


def download(repo: str, revision: str | None, downloads: Path) -> Path:
    """The folder with the Parquet files of a data set of the Hub, downloaded if need be.

    Raises
    ------
    UserError : there is no such repository or revision, it is closed to the user, or the Hub
        cannot be reached.
    """
    if not REPO.fullmatch(repo):
        raise UserError(f"data.hub: there is no file or folder {repo}, and it is no owner/name")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        commit = HfApi(endpoint=endpoint).dataset_info(repo, revision=revision).sha
        if commit != revision:
            print(f"{repo} is read at the commit {commit}; data.revision={commit} keeps it so")
        folder = downloads / "hub" / repo.replace("/", "--") / str(commit)
        snapshot_download(
            repo,
            repo_type="dataset",
            revision=commit,
            local_dir=folder,
            allow_patterns=["*.parquet"],
            endpoint=endpoint,
        )
    except GatedRepoError as error:
        raise UserError(
            f"data.hub: {repo} is open only to those who accept its terms: do so on its page, and "
            "log in with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"data.hub: there is no data set {repo} on the Hub, nor a path of that name (a "
            "private one needs hf auth login)"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"data.hub: {repo} has no revision {revision}") from error
    except Exception as error:  # the client's own errors of HTTP have no name that lasts
        raise UserError(
            f"data.hub: {repo} cannot be downloaded ({' '.join(str(error).split())[:200]}); run "
            "this again to go on, or give files that you have"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder
