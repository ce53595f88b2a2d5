# SPDX-License-Identifier: Apache-2.0
"""What metrics/data.json says is in the data, above all whether the images are rendered."""

import pandas as pd
import pytest

from facetell.dataset.summary import summary

SETS = {
    "faces": {"layout": "folder", "render": None},
    "demo": {"layout": "folder"},  # called so, but it is not
    "drawn": {"layout": "demo"},
    "made": {"layout": "folder", "render": {"seed": 0}},
}
FILES = {
    "groups": {"number": 5, "rule": "persons that the set names"},
    "effective": {"train": 4, "valid": 0, "test": 3},
    **{"contradictions": 0, "copies": 1, "warnings": ["Beware."]},
}


def manifest(**columns) -> pd.DataFrame:
    """Two used images of each set, and an unused one of ``faces``."""
    names = [*SETS, *SETS, "faces"]
    table = pd.DataFrame({"set": names, "split": ["train"] * 4 + ["test"] * 4 + ["unused"]})
    table["label"] = [0, 1, 0, 1, 1, 0, 1, 0, 0]
    table["person"] = [f"p{at // 2}" for at in range(9)]
    return table.assign(platform="presocial", laundered=False, **columns)


def summarised(table: pd.DataFrame, *, harmonised: bool = False) -> dict:
    aside = pd.DataFrame({"reason": ["too small: 9x9 px", "too small: 8x8 px", "empty file"]})
    leaks = pd.DataFrame(
        [("look-alike", "train", "test"), ("same file in one split", "test", "test")],
        columns=["kind", "split", "other_split"],
    )
    return summary(table, sets=SETS, harmonised=harmonised, aside=aside, leaks=leaks, files=FILES)


@pytest.mark.parametrize(
    ("names", "rendered"),
    [
        (["faces", "demo"], {"images": 0, "of": 4, "sets": []}),
        (["faces", "drawn"], {"images": 2, "of": 4, "sets": ["drawn"]}),
        (["drawn", "made"], {"images": 4, "of": 4, "sets": ["drawn", "made"]}),
    ],
)
def test_whether_images_are_rendered_is_told_by_their_set_not_by_its_name(names, rendered):
    table = manifest()
    assert summarised(table[table["set"].isin(names)])["rendered"] == rendered


def test_images_are_counted_as_they_are_used():
    table = manifest()
    table.loc[[0, 8], "laundered"] = True
    found = summarised(table, harmonised=True)
    assert found["counts"] == {
        "train": {"real": 2, "fake": 2},
        "valid": {"real": 0, "fake": 0},
        "test": {"real": 2, "fake": 2},
    }
    assert (found["images"], found["unused"], found["persons"]) == (8, 1, 4)
    assert found["sets"] == dict.fromkeys(sorted(SETS), 2)
    assert found["layouts"] == {name: SETS[name]["layout"] for name in sorted(SETS)}
    assert (found["laundered"], found["harmonised"]) == (1, True)
    assert found["set_aside"] == {"count": 3, "reasons": {"empty file": 1, "too small": 2}}
    assert found["pairs_across_splits"] == {"look-alike": 1}
    assert (found["copies"], found["effective"]["test"]) == (1, 3)
    assert (found["grouped"], found["warnings"]) == (FILES["groups"]["rule"], ["Beware."])
