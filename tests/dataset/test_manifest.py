# SPDX-License-Identifier: Apache-2.0
"""The manifest: what is set aside, what it must hold, and the schema that it satisfies."""

import numpy as np
import pandas as pd
import pytest
from support import built, folder_entries, picture, separable

from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.dataset.manifest import COLUMNS, SCHEMA, check, plan, validated
from facetell.dataset.summary import counts


def test_broken_images_are_set_aside_with_a_reason(tmp_path):
    entries = folder_entries({"train": 3, "valid": 2, "test": 2}, separable)
    entries["train/fake/broken.jpg"] = picture()[:500]
    entries["train/real/empty.png"] = b""
    manifest, aside, *_ = built(tmp_path, entries)
    assert set(aside["path"]) == {"train/fake/broken.jpg", "train/real/empty.png"}
    assert set(aside["set"]) == {"folder"}
    assert (aside["reason"] != "").all()
    assert counts(manifest)["train"] == {"real": 3, "fake": 3}


def test_nothing_left_of_a_class_stops_with_one_error(tmp_path):
    entries = folder_entries({"train": 2, "valid": 2, "test": 2}, separable)
    entries = {n: (b"" if n.startswith("test/fake") else d) for n, d in entries.items()}
    manifest = built(tmp_path, entries).manifest
    says = r"no usable fake image is left for the split 'test': see .* in aside\.csv"
    with pytest.raises(UserError, match=says):
        check(manifest, "aside.csv")
    check(manifest[manifest["split"] == "train"].pipe(in_every_split), "aside.csv")


def in_every_split(manifest: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([manifest.assign(split=split) for split in SPLITS])


def test_an_unknown_platform_to_launder_for_is_told_which_there_are():
    with pytest.raises(UserError, match="no platform vk; there are presocial, facebook"):
        plan({"s": pd.DataFrame({"id": ["a"], "person": "a", "platform": "presocial"})}, "vk")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    entries = folder_entries({"train": 3, "valid": 2, "test": 2}, separable)
    return built(tmp_path_factory.mktemp("table"), entries).manifest


BROKEN: dict[
    str, tuple[str, object, str]
] = {  # a column, a value it must not have, and what is said
    "label": ("label", 2, "label"),
    "no label": ("label", None, "label"),
    "split": ("split", "dev", "split"),
    "digest": ("sha256", "0123", "sha256"),
    "path": ("path", "", "path"),
    "bytes": ("bytes", 0, "bytes"),
    "width": ("width", -1, "width"),
    "quality": ("jpeg_quality", 101, "jpeg_quality"),
    "ffhq": ("ffhq_id", 70_000, "ffhq_id"),
    "psi": ("psi", -0.5, "psi"),
    "generator": ("generator", "stylegan", "generator"),
    "words": ("height", "tall", "height"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_manifest_that_breaks_its_schema_is_refused(table, case):
    column, value, says = BROKEN[case]
    row = int(np.flatnonzero(table["label"] == 0)[0])
    broken = table.astype({column: object})
    broken.loc[row, column] = value
    with pytest.raises(UserError, match=says) as caught:
        validated(broken)
    assert "\n" not in str(caught.value)


def test_an_id_that_occurs_twice_is_refused(table):
    with pytest.raises(UserError, match=r"'id'.*(twice|duplicate)"):
        validated(pd.concat([table, table.iloc[:1]], ignore_index=True))


def test_a_good_manifest_is_accepted_as_it_is(table):
    assert validated(table).equals(table)


def test_the_manifest_has_the_columns_that_users_rely_on(tmp_path):
    manifest = built(
        tmp_path, folder_entries({"train": 2, "valid": 2, "test": 2}, separable)
    ).manifest
    assert set(COLUMNS) >= {
        *("id", "path", "split", "label", "person", "generator", "platform", "sha256", "width"),
        *("height", "bytes", "jpeg_quality", "stem", "ffhq_id", "psi", "subsampling"),
        *("quant_table", "mode", "set"),
    }
    SCHEMA.validate(manifest)
