# SPDX-License-Identifier: Apache-2.0
"""The manifest: one row per usable image of all sets, with what its file says of itself.

Order of work: rows of each set (``facetell.dataset.layouts``), what each file is
(``facetell.dataset.inspection``), its split (``facetell.dataset.splits``), and a schema that the
whole must satisfy before anything is written.
"""

from collections.abc import Mapping

import pandas as pd
import pandera.pandas as pa

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES, SPLITS, UNUSED
from facetell.dataset.layouts import PRESOCIAL, ROW
from facetell.images.reencoding import PLATFORMS

_text = pa.Column(str, coerce=True)
_share = pa.Check.in_range(0, 2)
SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(str, pa.Check.str_length(min_value=1), unique=True),
        "set": pa.Column(str, pa.Check.str_length(min_value=1)),
        "path": pa.Column(str, pa.Check.str_length(min_value=1)),
        "split": pa.Column(str, pa.Check.isin([*SPLITS, UNUSED])),
        "label": pa.Column("int8", pa.Check.isin([0, 1])),
        "person": pa.Column(str, pa.Check.str_length(min_value=1)),
        "generator": _text,
        "platform": pa.Column(str, pa.Check.str_length(min_value=1)),
        "stem": _text,
        "ffhq_id": pa.Column("Int32", pa.Check.in_range(0, 69_999), nullable=True),
        "psi": pa.Column("Float64", _share, nullable=True),
        "regions": _text,
        "laundered": pa.Column(bool),  # by us, on its way to the packed file
        "sha256": pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$")),
        "bytes": pa.Column("int64", pa.Check.gt(0)),
        "width": pa.Column("int32", pa.Check.gt(0)),
        "height": pa.Column("int32", pa.Check.gt(0)),
        "format": pa.Column(str, pa.Check.str_length(min_value=1)),
        "mode": pa.Column(str, pa.Check.str_length(min_value=1)),
        "jpeg_quality": pa.Column("Int16", pa.Check.in_range(1, 100), nullable=True),
        "subsampling": _text,
        "quant_table": _text,
        "exif": pa.Column(bool),
        "artefacts": _text,
        "mask": _text,
        "twin": _text,
    },
    checks=[
        pa.Check(
            lambda table: (table["generator"] == "") | (table["label"] == 1),
            error="a real image has a generator",
        ),
    ],
    strict=True,
    ordered=True,
    coerce=True,
)
COLUMNS = tuple(SCHEMA.columns)


def plan(rows: Mapping[str, pd.DataFrame], launder: str | list[str] | None = None) -> pd.DataFrame:
    """The rows of all sets in one frame, ids prefixed by their set, with laundered copies.

    Parameters
    ----------
    rows : by the set's name, as ``facetell.dataset.layouts.rows`` gives them.
    launder : platforms through which every pre-social image is put, one copy for each
        (``presocial``: as it is); images that came through a platform stay as they are.

    Raises
    ------
    UserError : there is no such platform.
    """
    tables = []
    for name, table in rows.items():
        table = table.assign(id=name + "/" + table["id"], set=name)
        table["person"] = name + "/" + table["person"]
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).assign(laundered=False)
    wanted = [launder] if isinstance(launder, str) else list(launder or [])
    if not wanted:
        return table
    if unknown := sorted(set(wanted) - {PRESOCIAL, *PLATFORMS}):
        raise UserError(
            f"data.launder: no platform {', '.join(unknown)}; there are "
            f"{', '.join((PRESOCIAL, *PLATFORMS))}, or a list of them, or null"
        )
    clean = table["platform"] == PRESOCIAL
    parts = [table[~clean]]
    for platform in dict.fromkeys(wanted):
        part = table[clean]
        if platform != PRESOCIAL:
            part = part.assign(platform=platform, laundered=True)
            part["id"] = part["id"] + "@" + platform
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def check(manifest: pd.DataFrame, aside: str) -> None:
    """Refuse a manifest that nothing can be learnt from or measured on.

    Raises
    ------
    UserError : a split has no images of a class; ``aside`` is where those set aside are listed.
    """
    for split in SPLITS:
        for label, name in enumerate(CLASSES):
            if not ((manifest["split"] == split) & (manifest["label"] == label)).any():
                raise UserError(
                    f"no usable {name} image is left for the split {split!r}: see the images set "
                    f"aside in {aside}, check the folders of the data set, and what data.train_on "
                    "and `use` of the sets leave"
                )


def validated(table: pd.DataFrame) -> pd.DataFrame:
    """The manifest with the columns and types of ``SCHEMA``.

    Raises
    ------
    UserError : a value is not as the schema wants it; the column and the value are named.
    """
    try:
        return SCHEMA.validate(table[list(COLUMNS)], inplace=True)  # of a new frame
    except (pa.errors.SchemaError, pa.errors.SchemaErrors) as error:
        lines = " ".join(str(error).split())
        raise UserError(f"the manifest would break its schema: {lines[:400]}") from error


assert set(ROW) <= set(COLUMNS), "every column of a layout is kept"
