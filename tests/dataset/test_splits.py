# SPDX-License-Identifier: Apache-2.0
"""Splits: by face, official ones as they are, and what is trained on and tested."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.common.labels import UNUSED
from facetell.dataset import splits
from facetell.dataset.splits import Splitting, assign, faces, repeated, used


def frame(**columns) -> pd.DataFrame:
    size = max(len(value) for value in columns.values() if isinstance(value, list))
    table = pd.DataFrame({"split": [""] * size, "set": "s", "label": 0, "platform": "presocial"})
    for name in ("sha256", "person", "stem"):
        table[name] = [f"{name}{at}" for at in range(size)]
    unknown = {"ffhq_id": pd.array([pd.NA] * size, dtype="Int32")}
    return table.assign(**unknown | columns)


def test_copies_of_one_face_share_a_side_whatever_links_them():
    table = frame(
        person=["a", "a", "b", "c", "d", "e", "f"],
        stem=["", "", "x", "x", "", "", ""],
        sha256=["1", "2", "3", "4", "4", "5", "6"],
        ffhq_id=pd.array([pd.NA, 7, pd.NA, pd.NA, pd.NA, 7, pd.NA], dtype="Int32"),
    )
    assert faces(table).tolist() == [0, 0, 1, 1, 1, 0, 2]
    assert faces(table, np.array([[0, 6]])).tolist() == [0, 0, 1, 1, 1, 0, 0]


VALUES = [None, "", *(f"v{at}" for at in range(30))]


@pytest.mark.parametrize("dtype", [object, "str", "string"])
def test_values_that_are_there_twice_are_found_whatever_else_is(dtype, monkeypatch):
    """However many hashes are computed at once, and even if all of them are the same."""
    drawn = np.random.default_rng(0).choice(np.array(VALUES, dtype=object), 60)
    column = pd.Series(drawn).astype(dtype)
    expected = {value: np.flatnonzero(drawn == value).tolist() for value in VALUES[2:]}
    expected = {value: rows for value, rows in expected.items() if len(rows) > 1}
    monkeypatch.setattr(splits, "HASHED", 7)
    for _ in range(2):
        rows, codes = repeated(column)
        parts = [rows[codes == code] for code in set(codes)]
        assert {column[part[0]]: part.tolist() for part in parts} == expected
        monkeypatch.setattr(
            splits, "hash_pandas_object", lambda part, **_: pd.Series(np.zeros(len(part)))
        )


def test_unsplit_sets_are_split_by_person_and_class():
    table = frame(
        person=[f"p{i // 2}" for i in range(400)], label=[int(i // 2 % 4 == 0) for i in range(400)]
    )
    face = faces(table)
    drawn = Splitting(valid=0.1, test=0.2, seed=1)
    split = assign(table, face, drawn)
    assert (split.groupby(table["person"]).nunique() == 1).all()
    for label in (0, 1):
        share = split[table["label"] == label].value_counts(normalize=True)
        assert share["test"] == pytest.approx(0.2, abs=0.02)
        assert share["valid"] == pytest.approx(0.1, abs=0.02)
    assert split.equals(assign(table, face, drawn))
    assert not split.equals(assign(table, face, replace(drawn, seed=2)))


def test_official_splits_stay_and_faces_of_other_sets_follow_them():
    official = frame(
        split=["train", "valid", "test"], ffhq_id=pd.array([1, 2, 3], dtype="Int32"),
        person=["a1", "a2", "a3"], sha256=["1", "2", "3"], stem=[""] * 3,
    )  # fmt: skip
    other = frame(
        set=["t"] * 60, ffhq_id=pd.array(range(60), dtype="Int32"),
        person=[f"t{i}" for i in range(60)], sha256=[f"t{i}" for i in range(60)], stem=[""] * 60,
    )  # fmt: skip
    table = pd.concat([official, other], ignore_index=True)
    split = assign(table, faces(table), Splitting(valid=0.1, test=0.1, seed=0))
    assert split[:3].tolist() == ["train", "valid", "test"]
    assert split[3:][other["ffhq_id"].isin([1, 2, 3]).to_numpy()].tolist() == [
        "train", "valid", "test",
    ]  # fmt: skip
    assert set(split[3:]) == {"train", "valid", "test"}


def test_validation_is_drawn_from_training_where_a_set_has_none():
    table = frame(split=["train"] * 80 + ["test"] * 20)
    split = assign(table, faces(table), Splitting(valid=0.25, test=0.5, seed=0))
    assert split.value_counts().to_dict() == {"train": 60, "valid": 20, "test": 20}
    assert (split[80:] == "test").all()


@pytest.mark.parametrize(
    ("use", "drawn"),
    [
        ("all", {"train": 70, "valid": 10, "test": 20}),
        ("test", {"test": 100}),
        ("train", {"train": 90, "valid": 10}),
    ],
)
def test_no_image_is_left_out_for_the_use_of_a_set_that_we_draw(use, drawn):
    own, other = frame(split=[""] * 100, set="own"), frame(split=[""] * 50, set="other")
    for key in ("person", "stem", "sha256"):
        other[key] = "other " + other[key]
    table = pd.concat([own, other], ignore_index=True)
    splitting = Splitting(valid=0.1, test=0.2, seed=0, uses={"own": use, "other": "all"})
    split = used(table.assign(split=assign(table, faces(table), splitting)), splitting)
    assert split[:100].value_counts().to_dict() == drawn
    assert split[100:].value_counts().to_dict() == {"train": 35, "valid": 5, "test": 10}


def test_faces_of_a_set_to_be_tested_that_others_train_on_are_not_tested():
    own, other = frame(split=[""] * 100, set="own"), frame(split=[""] * 100, set="other")
    table = pd.concat([own, other], ignore_index=True)  # the same persons
    splitting = Splitting(valid=0.1, test=0.2, seed=0, uses={"own": "test", "other": "all"})
    split = used(table.assign(split=assign(table, faces(table), splitting)), splitting)
    assert split[:100].value_counts().to_dict() == {UNUSED: 80, "test": 20}
    assert split[100:].value_counts().to_dict() == {"train": 70, "valid": 10, "test": 20}


def test_sets_to_train_on_are_named_like_platforms_and_narrow_them():
    table = pd.DataFrame(
        [
            (set_, platform, split)
            for set_ in ("a", "b")
            for platform in ("presocial", "facebook")
            for split in ("train", "valid", "test")
        ],
        columns=["set", "platform", "split"],
    )
    for train_on, kept in (
        ("a", {("a", "presocial"), ("a", "facebook")}),
        (["b", "facebook"], {("b", "facebook")}),
        (["a", "b", "presocial"], {("a", "presocial"), ("b", "presocial")}),
    ):
        split = used(table, Splitting(valid=0, test=0, seed=0, train_on=train_on))
        for part in ("train", "valid"):
            assert set(map(tuple, table.loc[split == part, ["set", "platform"]].values)) == kept
        assert (split == "test").sum() == 4


def test_wrong_platforms_and_uses_list_the_valid_ones():
    table = frame(split=["train", "test"], platform=["presocial", "facebook"])
    with pytest.raises(UserError, match=r"no telegram in .* facebook, presocial, the sets s,"):
        used(table, Splitting(valid=0, test=0, seed=0, train_on="telegram"))
    with pytest.raises(UserError, match=r"sets\.s\.use: no 'valid'; there are all, train, test"):
        used(table, Splitting(valid=0, test=0, seed=0, uses={"s": "valid"}))
