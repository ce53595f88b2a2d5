# SPDX-License-Identifier: Apache-2.0
"""What the columns of a listing say of its images: class, split, source, generator, platform."""

import re
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES
from facetell.dataset.grouping import by_names, by_rule, column_rule
from facetell.dataset.hints import Hints
from facetell.dataset.tree import UNDERSTOOD, Vocabulary, words_of

COLUMNS = {  # what a listing may hold, and the names under which it is known
    "path": ("path", "file_name", "filename", "filepath", "file", "image_path", "image"),
    "image": ("image", "img"),
    "label": ("label", "class"),
    "split": ("split",),
    "group": ("group", "person", "video"),
    "generator": ("generator",),
    "platform": ("platform",),
}
LISTING = "listing.parquet"  # beside the images: a user's table, as words
STORED = "stored as"  # its column with the images' names in the archive
NAMED = "name"  # of its attributes: what the user calls it
SHOWN = 10  # values in a message
_WHOLE = re.compile(r"-?\d+\.0+")


def column(columns: "pd.Index[str]", what: str, hints: Hints, where: str) -> str | None:
    """The name of the column that holds ``what``, of ``COLUMNS``; None where there is none.

    Raises
    ------
    UserError : ``data.columns`` names one that is not there, or two go by names of ``what``.

    >>> column(pd.Index(["File_Name", "label"]), "path", Hints(), "my.csv")
    'File_Name'
    """
    if unknown := sorted(set(hints.columns) - set(COLUMNS)):
        raise UserError(
            f"data.columns: there is no {', '.join(unknown)}; there are {', '.join(COLUMNS)}"
        )
    there = [str(name) for name in columns]
    if said := hints.columns.get(what):
        if said not in there:
            raise UserError(
                f"data.columns.{what}: {where} has no column {said!r}; it has {', '.join(there)}"
            )
        return said
    for known in COLUMNS[what]:
        found = [name for name in there if name.strip().casefold() == known]
        if len(found) > 1:
            raise UserError(
                f"{where} has several columns {' and '.join(map(repr, found))}: say which holds "
                f"the {what}, data.columns={{{what}: NAME}}"
            )
        if found:
            return found[0]
    return None


def needed(columns: "pd.Index[str]", what: str, hints: Hints, where: str) -> str:
    """The name of a column without which nothing can be done.

    Raises
    ------
    UserError : there is none; or what ``column`` refuses.
    """
    found = column(columns, what, hints, where)
    if found is None:
        raise UserError(
            f"{where} has no column {what}; it has {', '.join(map(str, columns)) or 'none'}. "
            f"Say which holds it: data.columns={{{what}: NAME}}"
        )
    return found


def words(values: "pd.Series[object]") -> "pd.Series[str]":
    """Values as people write them: ``1`` for 1.0, nothing for missing ones.

    >>> words(pd.Series([1.0, None, "real ", True], dtype=object)).tolist()
    ['1', '', 'real', 'true']
    """
    text = values.astype(object).where(values.notna(), "").map(_word)
    return text.astype(object)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    said = str(value).strip()
    return said.partition(".")[0] if _WHOLE.fullmatch(said) else said


def understood(
    frame: pd.DataFrame, paths: "pd.Series[str]", hints: Hints, where: str
) -> pd.DataFrame:
    """The rows that have a label, with the columns of a layout's ``rows`` that a listing tells.

    Parameters
    ----------
    frame : the listing's columns as words (``words``), one row per image.
    paths : names of the images, which tell sources where no column does; they may be empty, and
        the index stands for them in messages.
    where : the listing's name, for messages.

    Raises
    ------
    UserError : a label or a split is not understood, or a split lacks a class.
    """
    labels = _labels(frame[needed(frame.columns, "label", hints, where)], hints, where)
    frame, paths, labels = frame[labels.notna()], paths[labels.notna()], labels.dropna()
    # none of the listing's own columns: a user's `mask` or `twin` is not what we call so
    table = pd.DataFrame({"label": labels.astype(int)})
    table["split"] = _splits(_of(frame, "split", hints, where), hints, where)
    made = kept_generators(_of(frame, "generator", hints, where), hints, where)
    table["generator"] = made.where(table["label"] == 1, "")
    table["platform"] = _of(frame, "platform", hints, where)
    group = column(frame.columns, "group", hints, where)
    if hints.group:
        named = paths.where(paths != "", paths.index.astype(str))
        found = by_rule(frame.assign(path=named), hints.group)
        table["person"], rule = found.source, found.rule
    elif group is not None:
        table["person"], rule = frame[group], column_rule(group)
    else:
        table["person"], rule = _by_names(paths, table, hints.vocabulary)
    complete(table, where)
    table.attrs |= {"grouped": rule, "said": bool(hints.group)}
    return table


def complete(table: pd.DataFrame, where: str) -> None:
    """Refuse a listing of one class, or of some splits without train and test.

    ``table`` has the columns label and split.

    Raises
    ------
    UserError : a class is missing from a split, or train or test from the splits.
    """
    if table.empty:
        raise UserError(f"{where} gives no image a label")
    splits = sorted(set(table["split"]))
    if "" not in splits and not {"train", "test"} <= set(splits):
        raise UserError(
            f"{where} has the splits {', '.join(splits)}: train and test are both needed (valid "
            "is taken from train if it is missing), or none of them: data.splits=draw draws others"
        )
    drawn = set(table.loc[table["split"] == "", "label"])
    for split, part in table.groupby("split"):
        lacking = {0, 1} - set(part["label"]) - (drawn if split else set())
        if lacking and (split or len(splits) == 1):
            raise UserError(
                f"{where} has no {CLASSES[min(lacking)]} images"
                + (f" for the split {split}" if split else "")
            )


def _of(frame: pd.DataFrame, what: str, hints: Hints, where: str) -> "pd.Series[str]":
    name = column(frame.columns, what, hints, where)
    return frame[name] if name else pd.Series("", frame.index, dtype=object)


def _labels(values: "pd.Series[str]", hints: Hints, where: str) -> "pd.Series[float]":
    """0 real, 1 fake, missing where the label is empty."""
    known = {value: hints.vocabulary.label(value) for value in set(values) if value}
    if unknown := sorted(value for value, label in known.items() if label is None):
        raise UserError(
            f"{where}: the column {values.name} has {_shown(unknown)}, which may mean real or "
            f"fake: say which, {_to_type(unknown)}"
        )
    return values.map(known).astype(float)


def _to_type(unknown: list[str]) -> str:
    if len(unknown) == 2:
        one, other = unknown
        return (
            f"-S 'data.classes={{real: [{one}], fake: [{other}]}}' or the other way round, "
            f"-S 'data.classes={{real: [{other}], fake: [{one}]}}'"
        )
    return "-S 'data.classes={real: [...], fake: [...]}'"


def _splits(values: "pd.Series[str]", hints: Hints, where: str) -> "pd.Series[str]":
    present = set(values) - {""}
    if isinstance(hints.splits, str):
        hints.vocabulary.split("", present)  # refuses any other word than draw
        return pd.Series("", values.index, dtype=object)
    known = {value: hints.vocabulary.split(value, present) for value in present}
    if unknown := sorted(value for value, split in known.items() if not split):
        raise UserError(
            f"{where}: the column {values.name} has {_shown(unknown)}, which is no split that is "
            "understood: say which, -S 'data.splits={train: [...], valid: [...], test: [...]}', or "
            "data.splits=draw to draw others"
        )
    if present and (values == "").any():
        raise UserError(
            f"{where}: {int((values == '').sum()):,} images are in no split, although others are: "
            "fill the column in, or say data.splits=draw"
        )
    return values.map(lambda value: known.get(value, "")).astype(object)


def kept_generators(values: "pd.Series[str]", hints: Hints, where: str) -> "pd.Series[str]":
    """Generators without those that ``data.generators`` does not name; "" where there is none.

    Raises
    ------
    UserError : it names one that is not there.
    """
    said = hints.generators
    if said is None or said is True:
        return values
    wanted = set() if said is False else {str(name).casefold() for name in said}
    if missing := sorted(wanted - {value.casefold() for value in set(values)}):
        raise UserError(f"data.generators: {where} has no generator {', '.join(missing)}")
    return values.where(values.str.casefold().isin(wanted), "")


def _by_names(
    paths: "pd.Series[str]", table: pd.DataFrame, vocabulary: Vocabulary
) -> tuple[Any, str]:
    """Sources as folders and file names tell them, "" where they do not, and the rule."""
    told = [
        tuple(part for part in PurePosixPath(path).parts[:-1] if _tells(part, made, vocabulary))
        for path, made in zip(paths, table["generator"], strict=True)
    ]
    found = by_names(list(paths), told, list(table["label"]), list(table["split"]))
    return (found.source.to_numpy() if found.rule else ""), found.rule


def _tells(part: str, generator: str, vocabulary: Vocabulary) -> bool:
    """Whether a folder may name a source: it names neither class, split nor generator."""
    if part == generator or vocabulary.label(part) is not None or vocabulary.split(part, [part]):
        return False
    said = set(words_of(part))
    return not (said and said <= UNDERSTOOD) or any(map(str.isdigit, part))


def _shown(values: list[str]) -> str:
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return ", ".join(map(repr, values[:SHOWN])) + more
