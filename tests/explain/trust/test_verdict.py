# SPDX-License-Identifier: Apache-2.0
"""Which maps are believed, and on which fakes: worked by hand; stored and read back the same."""

import dataclasses
import json

import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.explain.survey.records import records
from facetell.explain.trust.choice import Choice
from facetell.explain.trust.verdict import Belief, Verdict, judge, stored, with_beliefs

TITLES = {"good": "good (GELU rule)"}
PASSED = {"accuracy_with": 0.97, "accuracy_without": 0.5, "passed": True}
CHOICE = Choice("several", 60, 40, 32, "good", "a", 0.85, 0.8, 0.9)
FAILED = {"accuracy_with": 0.7, "accuracy_without": 0.5, "passed": False}


def table(n: int = 9) -> pd.DataFrame:
    rows = []
    for source, method, layer, score, excess, lead in [
        ("trained", "good", "a", 0.8, 0.5, (0.2, 0.1)),
        ("trained", "sure", "a", 0.7, 0.5, (0.1, -0.1)),  # by itself, not among so many
        ("trained", "higher", "a", 0.9, -0.1, (-0.1, -0.2)),  # as high for others' masks
        ("trained", "weak", "a", 0.45, 0.2, (-0.1, -0.2)),  # below the centre
        ("untrained", "good", "a", 0.2, 0.0, ()),
        ("untrained", "sure", "a", 0.68, 0.0, ()),
        ("baseline", "random", "input", 0.1, 0.0, ()),
        ("baseline", "centre", "input", 0.5, 0.0, ()),
    ]:
        row = {"source": source, "fakes": "single", "method": method, "layer": layer, "area": 0.1}
        row |= {"rra": score, "rra_low": score - 0.05, "rra_high": score + 0.05}
        row |= dict(zip(("rra_lead_low", "rra_lead_low_all"), lead, strict=False))
        rows.append(row | {"rra_excess_low": excess, "rra_excess_low_all": excess, "n": n})
    return pd.DataFrame(rows)


def verdict(
    board: pd.DataFrame | None = None, passed: int = 9, gate=PASSED, choice=CHOICE
) -> Verdict:
    board = table() if board is None else board
    return judge(board, "single", fakes=30, passed=passed, gate=gate, titles=TITLES, choice=choice)


def test_believed_is_what_leads_all_that_knows_nothing_among_so_many_maps():
    found = verdict()
    maps = found.maps.set_index("method")
    assert maps["belief"].to_dict() == {
        "good": "general", "sure": "none", "higher": "none", "weak": "none",
    }  # fmt: skip
    assert maps["specific"].to_dict() == {
        "good": True, "sure": True, "higher": False, "weak": True,
    }  # fmt: skip
    assert maps["rival"].to_dict() == {"good": 0.5, "sure": 0.68, "higher": 0.5, "weak": 0.5}
    assert found.levels == pytest.approx(
        {"chance": 0.1, "random": 0.1, "centre": 0.5, "untrained": 0.68}
    )
    assert (found.believed, found.scope, found.scored) == (1, Belief.GENERAL, 9)
    assert found.claim == (
        "good at a, the map that validation fakes chose, is believed. Corrected for their number, "
        "1 of 4 maps is believed. The model tells such fakes by what was planted (9 of 30 fakes "
        "(30%) pass)."
    )


def test_the_chosen_map_is_that_of_validation_and_needs_no_correction():
    """Not the highest of the test fakes; and believed by itself where it is not among so many."""
    found = verdict(choice=dataclasses.replace(CHOICE, method="sure"))
    assert found.chosen["method"] == "sure"
    assert (found.chosen["score"], found.choice.score) == (0.7, 0.85)
    assert found.chosen_is_believed
    assert found.belief_of("sure", "a") == Belief.GENERAL
    assert found.maps.set_index("method").loc["sure", "belief"] == Belief.NONE
    assert found.believed == 1
    poor = verdict(choice=dataclasses.replace(CHOICE, method="higher"))
    assert poor.chosen["score"] == 0.9
    assert not poor.chosen_is_believed
    assert poor.claim.startswith(
        "higher at a, the map that validation fakes chose, is not believed"
    )


def test_without_enough_validation_fakes_nothing_is_chosen_and_that_is_said():
    few, none = verdict(choice=Choice("several", 20, 3)), verdict(choice=None)
    for found in (few, none):
        assert found.chosen is None
        assert not found.chosen_is_believed
        assert found.believed == 1  # what the test fakes say of all maps stands
    assert few.claim.startswith(
        "No map was chosen: 3 of 20 validation fakes pass the gate, and at least 8, of two persons"
    )
    assert none.claim.startswith("No map was chosen: no validation fakes say where")


def test_belief_is_restricted_where_the_model_does_not_pass_the_gate():
    """The fakes that pass it one by one are told by what was planted, the others may not be."""
    found, general = verdict(gate=FAILED), verdict()
    assert found.scope == Belief.RESTRICTED
    assert found.maps["belief"].tolist() == ["restricted", "none", "none", "none"]
    assert found.chosen["belief"] == "restricted"
    assert found.believed == 1
    assert "only on the 9 of 30 fakes (30%) whose verdict the artefacts decide" in found.claim
    columns = ["method", "score", "rival", "specific"]
    pd.testing.assert_frame_equal(found.maps[columns], general.maps[columns])


def test_without_twins_what_was_altered_need_not_be_the_reason():
    found = verdict(gate={"accuracy_with": 0.97, "auc_with": 0.99, "passed": False})
    assert found.scope == Belief.RESTRICTED
    assert found.claim.endswith(
        "That holds only on the 9 of 30 fakes (30%) that are called fake for sure; without twins, "
        "whether what was altered decides their verdict is not known."
    )


@pytest.mark.parametrize("gate", [PASSED, FAILED])
def test_nothing_is_said_of_maps_on_too_few_fakes(gate):
    for found in (
        verdict(table(n=7), passed=7, gate=gate),
        verdict(pd.DataFrame(), passed=7, gate=gate),
        verdict(pd.DataFrame(), passed=20, gate=gate),  # all of one person: no board
    ):
        assert (found.scope, found.believed, found.chosen) == (Belief.NONE, 0, None)
        assert found.claim.startswith("No statement on any map")


def test_maps_that_find_nothing_are_said_to():
    board = table()
    found = verdict(board[board["method"] != "good"], gate=FAILED)
    assert found.scope == Belief.RESTRICTED
    assert found.believed == 0
    assert found.chosen is None  # the map that was chosen is not among them
    assert "none of 3 maps are believed. Maps were tested on the 9 of 30 fakes" in found.claim


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
    assert (read.chosen, read.choice) == (written.chosen, written.choice)
    assert read.titles == TITLES
    assert (read.scope, read.claim) == (written.scope, written.claim)
    assert read.record() == written.record()
    changed = json.loads(text)
    changed["leaderboard"][0]["belief"] = "none"  # whatever its numbers say
    assert stored(changed)["single"].believed == 0


def test_files_without_verdicts_are_refused():
    old = {"single": {"scope": "general", "best": None}}
    for planted in ({"gate": PASSED, "leaderboard": []}, {"leaderboard": [], "verdicts": old}):
        with pytest.raises(UserError, match="run the explain stage again"):
            stored(planted)
