"""Learning curves on the test images, which training itself never looks at."""

import numpy as np
import pandas as pd

from facetell.common.errors import UserError


def by_epoch(epochs: pd.DataFrame, labels: "pd.Series[int]") -> pd.DataFrame:
    """Loss and accuracy on the test images after every epoch.

    Parameters
    ----------
    epochs : columns epoch, id, margin; every test image once per epoch.
    labels : by id, 1 = fake; of exactly the test images.

    Returns
    -------
    Frame: epoch, test_loss (cross-entropy, nats per image), test_accuracy (verdict fake where the
    margin is at least 0, which is the larger of two logits).

    Raises
    ------
    UserError : an image was not scored exactly once per epoch.
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
        loss = np.logaddexp(0, np.where(fake, -margin, margin)).mean()
        rows.append((epoch, loss, ((margin >= 0) == fake).mean()))
    return pd.DataFrame(rows, columns=["epoch", "test_loss", "test_accuracy"])
