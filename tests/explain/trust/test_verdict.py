"""Which maps are believed: worked by hand."""

import pandas as pd
import pytest

from facetell.common.errors import UserError
from facetell.explain.trust.verdict import standing


def table() -> pd.DataFrame:
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
        row = {"source": source, "fakes": "all", "method": method, "layer": layer, "area": 0.1}
        row |= {"rra": score, "rra_low": score - 0.05, "rra_high": score + 0.05}
        rows.append(row | {"rra_excess_low": excess, "n": 9})
    return pd.DataFrame(rows)


def test_believed_is_what_beats_all_that_knows_nothing():
    found = standing(table())
    maps = found.maps.set_index("method")
    assert maps["believed"].to_dict() == {
        "good": True, "higher": False, "weak": False, "architecture": False,
    }  # fmt: skip
    assert maps["specific"].to_dict() == {
        "good": True, "higher": False, "weak": True, "architecture": True,
    }  # fmt: skip
    assert found.best["method"] == "good"  # not the highest: that one cannot be believed
    assert found.levels == pytest.approx(
        {"chance": 0.1, "random": 0.1, "centre": 0.5, "untrained": 0.68}
    )
    assert (found.believed, found.gate) == (1, None)


def test_no_map_is_believed_of_a_model_that_does_not_pass_the_gate():
    found = standing(table(), gate={"passed": False})
    assert (found.believed, found.gate) == (0, False)
    assert found.best["method"] == "higher"
    assert not found.maps["specific"].any()
    assert standing(table(), gate=True).believed == 1


def test_what_is_not_there_is_refused():
    with pytest.raises(UserError, match="rra, pointing"):
        standing(table(), "auc")
    with pytest.raises(UserError, match="single"):
        standing(table(), fakes="single")
