# SPDX-License-Identifier: Apache-2.0
"""Which maps are believed, and on which fakes: worked by hand; stored and read back the same."""

import json

import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.explain.survey.records import records
from facetell.explain.trust.verdict import Belief, Verdict, judge, stored, with_beliefs

TITLES = {"good": "good (GELU rule)"}
PASSED = {"accuracy_with": 0.97, "accuracy_without": 0.5, "passed": True}
FAILED = {"accuracy_with": 0.7, "accuracy_without": 0.5, "passed": False}


def table(n: int = 9) -> pd.DataFrame:
    rows = []
    for source, method, layer, score, excess in [
        ("trained", "good", "a", 0.8, 0.5),
        ("trained", "higher", "a", 0.9, -0.1),  # as high for others' masks
        ("trained", "weak", "a", 0.45, 0.2),  # below the centre
        ("trained", "architecture", "a", 0.7, 0.3),  # no better than untrained
        ("untrained", "good", "a", 0.2, 0.0),
        ("untrained", "architecture", "a", 0.68, 0.0),
        ("baseline", "random", "input", 0.1, 0.0),
        ("baseline", "centre", "input", 0.5, 0.0),
    ]:
        row = {"source": source, "fakes": "single", "method": method, "layer": layer, "area": 0.1}
        row |= {"rra": score, "rra_low": score - 0.05, "rra_high": score + 0.05}
        rows.append(row | {"rra_excess_low": excess, "n": n})
    return pd.DataFrame(rows)


def verdict(board: pd.DataFrame | None = None, passed: int = 9, gate=PASSED) -> Verdict:
    board = table() if board is None else board
    return judge(board, "single", fakes=30, passed=passed, gate=gate, titles=TITLES)


def test_believed_is_what_beats_all_that_knows_nothing():
    found = verdict()
    maps = found.maps.set_index("method")
    assert maps["belief"].to_dict() == {
        "good": "general", "higher": "none", "weak": "none", "architecture": "none",
    }  # fmt: skip
    assert maps["specific"].to_dict() == {
        "good": True, "higher": False, "weak": True, "architecture": True,
    }  # fmt: skip
    assert found.best["method"] == "good"  # not the highest: that one cannot be believed
    assert found.levels == pytest.approx(
        {"chance": 0.1, "random": 0.1, "centre": 0.5, "untrained": 0.68}
    )
    assert (found.believed, found.scope, found.scored) == (1, Belief.GENERAL, 9)
    assert found.claim == (
        "1 of 4 maps is believed: the model tells such fakes by what was planted (9 of 30 fakes "
        "(30%) pass)."
    )


def test_belief_is_restricted_where_the_model_does_not_pass_the_gate():
    """The fakes that pass it one by one are told by what was planted, the others may not be."""
    found, general = verdict(gate=FAILED), verdict()
    assert found.scope == Belief.RESTRICTED
    assert found.maps["belief"].tolist() == ["restricted", "none", "none", "none"]
    assert found.believed == 1
    assert "only on the 9 of 30 fakes (30%) whose verdict the artefacts decide" in found.claim
    columns = ["method", "score", "rival", "specific"]
    pd.testing.assert_frame_equal(found.maps[columns], general.maps[columns])


@pytest.mark.parametrize("gate", [PASSED, FAILED])
def test_nothing_is_said_of_maps_on_too_few_fakes(gate):
    for found in (
        verdict(table(n=7), passed=7, gate=gate),
        verdict(pd.DataFrame(), passed=7, gate=gate),
        verdict(pd.DataFrame(), passed=20, gate=gate),  # all of one person: no board
    ):
        assert (found.scope, found.believed, found.best) == (Belief.NONE, 0, None)
        assert found.claim.startswith("No statement on any map")


def test_maps_that_find_nothing_are_said_to():
    board = table()
    found = verdict(board[board["method"] != "good"], gate=FAILED)
    assert found.scope == Belief.RESTRICTED
    assert found.believed == 0
    assert found.best["method"] == "higher"
    assert found.claim.startswith("No map is believed on the 9 of 30 fakes")


@pytest.mark.parametrize("gate", [PASSED, FAILED])
def test_what_is_stored_is_read_and_not_decided_anew(gate):
    board = table()
    written = verdict(board, gate=gate)
    rows = records(with_beliefs(board, written))
    assert [row["belief"] for row in rows if row["source"] == "trained"] == written.maps[
        "belief"
    ].tolist()
    assert not any("belief" in row for row in rows if row["source"] != "trained")
    text = json.dumps({"verdicts": {"single": written.record()}, "leaderboard": rows})
    read = stored(json.loads(text))["single"]
    pd.testing.assert_frame_equal(read.maps, written.maps, check_dtype=False)
    assert read.best == written.best
    assert read.titles == TITLES
    assert (read.scope, read.claim) == (written.scope, written.claim)
    assert read.record() == written.record()
    changed = json.loads(text)
    changed["leaderboard"][0]["belief"] = "none"  # whatever its numbers say
    assert stored(changed)["single"].believed == 0


def test_files_without_verdicts_are_refused():
    with pytest.raises(UserError, match="run the explain stage again"):
        stored({"gate": PASSED, "leaderboard": []})
