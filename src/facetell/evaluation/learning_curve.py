# SPDX-License-Identifier: Apache-2.0
"""Learning curves on the test images, which training itself never looks at."""

import pandas as pd

from facetell.common.errors import UserError
from facetell.metrics.losses import log_loss


def by_epoch(epochs: pd.DataFrame, labels: "pd.Series[int]") -> pd.DataFrame:
    """Loss and accuracy on the test images after every epoch.

    Parameters
    ----------
    epochs : columns epoch, id, margin; every test image once per epoch.
    labels : by id, 1 = fake; of exactly the test images.

    Returns
    -------
    Frame: epoch, test_loss (cross-entropy, nats per image), test_accuracy. The verdict is fake
    where the margin is at least 0, that is, where the fake logit is not the smaller one.

    Raises
    ------
    UserError : an image was not scored exactly once per epoch.

    >>> epochs = pd.DataFrame({"epoch": [1, 1, 2, 2], "id": ["a", "b"] * 2})
    >>> epochs["margin"] = [0.0, 0.0, -1.0, 3.0]
    >>> by_epoch(epochs, pd.Series({"a": 0, "b": 1})).round(3).to_dict("list")
    {'epoch': [1, 2], 'test_loss': [0.693, 0.181], 'test_accuracy': [0.5, 1.0]}
    """
    expected = set(labels.index)
    rows = []
    for epoch, part in epochs.groupby("epoch"):
        if len(part) != len(expected) or set(part["id"]) != expected:
            raise UserError(
                f"epoch {epoch} does not score every test image exactly once: "
                "the training is of other data; run the train stage again"
            )
        fake = labels.loc[part["id"]].to_numpy() == 1
        margin = part["margin"].to_numpy(dtype=float)
        rows.append((epoch, log_loss(fake, margin), ((margin >= 0) == fake).mean()))
    return pd.DataFrame(rows, columns=["epoch", "test_loss", "test_accuracy"])
