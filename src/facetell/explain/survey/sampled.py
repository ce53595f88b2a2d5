# SPDX-License-Identifier: Apache-2.0
"""Which test images a reader can look at one by one: the same for every model, and each model's
own worst mistakes."""

import numpy as np
import pandas as pd

from facetell.common.seeding import seed_of

STRATA = ["generator", "platform"]
WORST = 8  # of each class: most confident mistakes that are shown whether drawn or not


def sampled(test: pd.DataFrame, most: int, seed: int) -> np.ndarray:
    """Rows of at most ``most`` test images, sorted, int (n,).

    As many fakes as real images as far as there are, and of either class as many of each generator
    and platform: what is rare in a large set is still seen. It depends on the manifest and the seed
    alone, so every model is shown on the same images.

    >>> test = pd.DataFrame({"id": list("abcdefgh"), "label": [0, 0, 1, 1, 1, 1, 1, 1],
    ...                      "generator": ["", "", *["often"] * 5, "rare"], "platform": ""})
    >>> rows = sampled(test, most=4, seed=0)
    >>> test["generator"].iloc[rows].tolist()
    ['', '', 'often', 'rare']
    """
    table = test[["id", "label", *STRATA]].reset_index(drop=True)
    table["drawn"] = [seed_of("shown", seed, id_) for id_ in table["id"]]
    table = table.sort_values("drawn", kind="stable")
    strata = table.fillna(dict.fromkeys(STRATA, "")).groupby(["label", *STRATA], sort=False)
    table["in_stratum"] = strata.cumcount()
    table = table.sort_values(["in_stratum", "drawn"], kind="stable")
    table["in_class"] = table.groupby("label", sort=False).cumcount()
    table = table.sort_values(["in_class", "label"], kind="stable")
    return np.sort(table.index.to_numpy()[:most])


def worst_mistakes(labels: np.ndarray, margins: np.ndarray, threshold: float) -> np.ndarray:
    """Rows of the most confident mistakes of one model, at most ``WORST`` of each class, the most
    confident first.

    ``labels`` (N,) 1 = fake, ``margins`` (N,); the verdict is fake at or above ``threshold``.

    >>> worst_mistakes(np.array([0, 0, 1]), np.array([3.0, 1.0, -9.0]), 0.0).tolist()
    [2, 0, 1]
    """
    wrong = (margins >= threshold) != (labels == 1)
    order = np.argsort(-np.abs(margins - threshold), kind="stable")
    order = order[wrong[order]]
    ranks = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    return order[ranks < WORST]
