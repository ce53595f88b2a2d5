# SPDX-License-Identifier: Apache-2.0
"""versions: all results of two or more versions side by side; no stage, but what ``facetell
compare`` runs.

``python -m pipeline.versions REV [REV ...]`` reads each version from git and from dvc's cache. With
one revision, the workspace is compared with it.
"""

import argparse
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from facetell.common.errors import UserError, brief
from facetell.common.files import read_json, write_json, write_text
from facetell.common.progress import progress
from facetell.dataset.stored import read_manifest
from facetell.evaluation import predictions
from facetell.images.packed import Packed
from facetell.report.versions.compared import Comparison, compare
from facetell.report.versions.page import page
from facetell.report.versions.summary import summary
from facetell.report.versions.version import Model, Version
from pipeline import paths
from pipeline.stage import run

WORKSPACE = "workspace"
PARAMS = Path("params.yaml")


def main(*arguments: str) -> None:
    options = parser().parse_args(arguments)
    with versions([*options.revisions, WORKSPACE][: max(2, len(options.revisions))]) as found:
        compared = compare(found, **bootstrap(found[0]))
        write(compared, options)
    shown(summary(compared))
    if options.html:
        print(f"\n{options.html}: curves, and the images whose verdict changed")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m pipeline.versions",
        description="Put the results of versions side by side: metrics, curves, settings, and the "
        "test images whose verdict changed.",
    )
    made.add_argument(
        "revisions", nargs="+", metavar="REV", help="commits, or names of experiments"
    )
    made.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables here")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every number here")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a page here")
    return made


def write(compared: Comparison, options: argparse.Namespace) -> None:
    """The files that were asked for."""
    if options.json:
        write_json(options.json, compared.as_json())
    if options.html:
        write_text(options.html, page(compared))
    if options.markdown:
        write_text(options.markdown, summary(compared))


def shown(text: str) -> None:
    """Markdown: as it is for a file, laid out for a terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text, end="")


def bootstrap(version: Version) -> dict[str, int]:
    """Number of resamples and seed, as the settings of a version have them."""
    params = version.params
    found = {
        "resamples": params.get("score", {}).get("resamples"),
        "seed": params.get("train", {}).get("seed"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int)}


@contextmanager
def versions(names: Sequence[str]) -> Iterator[list[Version]]:
    """What is known of each version. What had to be copied is gone afterwards.

    Raises
    ------
    UserError : there is no such revision, or dvc cannot read it.
    """
    from dvc.exceptions import DvcException  # takes a second
    from dvc.repo import Repo
    from dvc.scm import SCMError

    with TemporaryDirectory() as folder:
        try:
            with Repo(".") as repo:
                yield [
                    version(name, Files(repo, name, Path(folder) / str(number)))
                    for number, name in enumerate(progress(list(names), "versions"))
                ]
        except (DvcException, SCMError) as error:
            raise UserError(f"dvc cannot read the versions: {brief(error)}") from error


class Files:
    """The files of one version: committed ones, and those of dvc that are at hand.

    commit : the hash; "" for the workspace. copies : a folder for what is copied out of a remote.
    """

    def __init__(self, repo: Any, name: str, copies: Path) -> None:
        self.repo, self.copies = repo, copies
        self.commit = "" if name == WORKSPACE else resolved(repo.scm, name)

    @cached_property
    def _files(self) -> Any:
        from dvc.api import DVCFileSystem

        return DVCFileSystem(rev=self.commit)

    def read(self, path: Path) -> bytes:
        """The content of a committed file. FileNotFoundError if this version has none."""
        return self._files.read_bytes(path.as_posix()) if self.commit else path.read_bytes()

    def local(self, path: Path) -> Path:
        """A file or folder of this version on this disk: itself, in dvc's cache, or copied out of a
        remote. FileNotFoundError if it is not at hand."""
        if not self.commit:
            if not path.exists():
                raise FileNotFoundError(path)
            return path
        if not self._files.isdir(path.as_posix()):
            return self._file(path)
        for name in self._within(path):
            file, target = self._file(Path(name)), self.copies / name
            if file != target:
                target.parent.mkdir(parents=True, exist_ok=True)
                linked(file, target)
        return self.copies / path

    def _within(self, folder: Path) -> list[str]:
        try:
            return list(self._files.find(folder.as_posix()))
        except Exception as error:  # of dvc, whose listing of the folder is not here
            raise FileNotFoundError(folder) from error

    def _file(self, path: Path) -> Path:
        if (kept := self._kept(path)) is not None:
            return kept
        try:
            content = self._files.read_bytes(path.as_posix())
        except Exception as error:  # of dvc, or whatever a remote raises that does not answer
            raise FileNotFoundError(path) from error
        copy = self.copies / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        return copy

    def _kept(self, path: Path) -> Path | None:
        """Where dvc's cache has a file of dvc.lock."""
        md5 = self._hashes.get(path.as_posix())
        found = Path(self.repo.cache.local.oid_to_path(md5)) if md5 else None
        return found if found and found.exists() else None

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """md5 of what dvc.lock lists, by path."""
        try:
            lock = yaml.safe_load(self.read(Path("dvc.lock"))) or {}
        except FileNotFoundError:
            return {}
        outs = [out for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])]
        hashes = {out["path"]: out["md5"] for out in outs if "md5" in out}
        for folder, md5 in [*hashes.items()]:
            listed = Path(self.repo.cache.local.oid_to_path(md5))
            if md5.endswith(".dir") and listed.exists():
                hashes |= {f"{folder}/{one['relpath']}": one["md5"] for one in read_json(listed)}
        return hashes


def linked(file: Path, target: Path) -> None:
    """Give a file another name, or copy it where there are no links."""
    try:
        target.symlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, target)


def resolved(scm: Any, name: str) -> str:
    """The hash of a commit or an experiment.

    Raises
    ------
    UserError : there is none of this name.
    """
    from dvc.scm import RevError, resolve_rev

    try:
        return resolve_rev(scm, name)
    except RevError as error:
        raise UserError(
            f"there is no revision {name}: name a branch, a tag, a commit or an experiment "
            "(facetell experiments lists them)"
        ) from error


def version(name: str, files: Files) -> Version:
    """Everything that ``facetell.report.versions`` compares, as far as this version has it."""
    params = of(files, PARAMS, yaml.safe_load) or {}
    names = [*params.get("models", {}), paths.BASELINE]
    models = {name: model(name, files) for name in names}
    return Version(
        name,
        files.commit,
        params,
        of(files, paths.DATA, json.loads) or {},
        {name: found for name, found in models.items() if found},
        _frame(of(files, paths.curve("roc"), _csv)),
        of_local(files, paths.MANIFEST, lambda path: read_manifest(path, splits=["test"])),
        of_local(files, paths.PACKED["test"], Packed),
    )


def model(name: str, files: Files) -> Model | None:
    """One model, None where it was not scored."""
    scores = of(files, paths.scores(name), json.loads)
    if scores is None:
        return None
    explained = of(files, paths.explained(name), json.loads) or {}
    said = None
    with suppress(UserError):  # of a version that stored them in another way
        said = of_local(files, paths.predictions(name), predictions.read)
    return Model(scores, explained, said)


def of(files: Files, path: Path, read: Callable[[bytes], Any]) -> Any:
    """What a file of a version says, None where there is none."""
    try:
        content = files.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read(content)
    except (ValueError, yaml.YAMLError) as error:
        where = files.commit[:7] or WORKSPACE
        raise UserError(f"{path} of {where} cannot be read: {brief(error)}") from error


def of_local(files: Files, path: Path, read: Callable[[Path], Any]) -> Any:
    """The same for files that are read from a disk."""
    try:
        return read(files.local(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _csv(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content))


def _frame(table: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table


if __name__ == "__main__":
    run(main)
