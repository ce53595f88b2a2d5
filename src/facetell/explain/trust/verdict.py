"""Which maps of a leaderboard can be believed: those that beat everything that knows nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from facetell.common.errors import UserError
from facetell.explain.trust.planted import CHANCE, METRICS


@dataclass(frozen=True)
class Standing:
    """One model's maps against what knows nothing of it.

    ``maps`` has a row per method and layer in forward order: ``score``, ``low``, ``high`` (95%),
    ``untrained`` (the same map of the network before training, NaN if unknown), and two verdicts.
    ``specific``: it finds the mask of its own image better than those of other persons' images,
    by an interval above 0. ``believed``: besides, its score's interval lies above every level and
    above the untrained network's; a map of which that fails may follow the image, but guessing
    does as well. ``levels`` are chance, random, centre, edges (those known) and untrained, the
    best map of the untrained network. ``best`` is the believed row with the highest score, else
    the row with the highest, chosen on the same images; None without any score. ``gate`` is False
    for a model that does not use what was planted, where neither holds of any map; None if that
    was not tested.
    """

    maps: pd.DataFrame
    levels: dict[str, float]
    best: Mapping[str, Any] | None
    gate: bool | None

    @property
    def believed(self) -> int:
        """How many of the maps can be believed."""
        return int(self.maps["believed"].sum())


def standing(
    table: pd.DataFrame,
    metric: str = "rra",
    *,
    fakes: str = "all",
    gate: bool | Mapping[str, Any] | None = None,
) -> Standing:
    """From a table of ``Leaderboard.table()`` and the result of ``model_gate``, if there is one.

    Raises
    ------
    UserError : an unknown metric, or no maps of the trained network for such fakes.
    """
    if metric not in METRICS:
        raise UserError(f"there is no metric {metric!r}; there are {', '.join(METRICS)}")
    table = table[table["fakes"] == fakes]
    trained = table[table["source"] == "trained"]
    if trained.empty:
        raise UserError(f"the leaderboard has no map of the trained network for {fakes} fakes")
    passed = gate.get("passed") if isinstance(gate, Mapping) else gate
    untrained = table[table["source"] == "untrained"].set_index(["method", "layer"])[metric]
    known = table[table["source"] == "baseline"].set_index("method")[metric]
    levels = {"chance": float(trained[CHANCE[metric]].mean())}
    levels |= {name: float(value) for name, value in known.items()}
    highest = max(levels.values())
    if len(untrained):
        levels["untrained"] = float(untrained.max())
    maps = pd.DataFrame(
        {
            "method": trained["method"],
            "layer": trained["layer"],
            "score": trained[metric],
            "low": trained[f"{metric}_low"],
            "high": trained[f"{metric}_high"],
        }
    ).reset_index(drop=True)
    keys = list(zip(maps["method"], maps["layer"], strict=True))
    maps["untrained"] = [float(untrained.get(key, float("nan"))) for key in keys]
    rival = maps["untrained"].fillna(highest).clip(lower=highest)
    maps["specific"] = (trained[f"{metric}_excess_low"].to_numpy() > 0) & (passed is not False)
    maps["believed"] = (maps["low"] > rival) & maps["specific"]
    best = None
    if maps["score"].notna().any():
        among = maps[maps["believed"]] if maps["believed"].any() else maps
        best = among.loc[among["score"].idxmax()].to_dict()
    return Standing(maps, levels, best, None if passed is None else bool(passed))
