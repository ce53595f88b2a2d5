"""ROC, DET and learning curves as tables: computed once, drawn by figures and by dvc plots."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from facetell.errors import UserError
from facetell.metrics import equal_error_rate
from facetell.ranking import Ranking, area

SCORES = {"fake": 1, "real": 0}  # which class a curve's score stands for, and its label
POINTS = 200  # kept per curve: the eye and a text diff need no more
FINEST = 1e-4  # rates are drawn on normal-deviate axes from here to 1 - FINEST


def error_curves(margins: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> pd.DataFrame:
    """ROC and DET points of each model, for the fake score and for the real score.

    The real score is 1 - the fake score, and its curves take real as the positive class, so that
    both read the same way round (up and to the left is better).

    Returns
    -------
    Frame: model, score, point (running number), fpr, tpr, fnr (rates in [0, 1]), fpr_deviate,
    fnr_deviate (standard normal quantiles), auc and eer of the whole curve.
    """
    parts = []
    for model, margin in margins.items():
        for score, positive in SCORES.items():
            label = labels[model] if positive else 1 - labels[model]
            fpr, tpr = Ranking(label, margin if positive else -margin).rates()
            kept = _thin(fpr, tpr)
            part = pd.DataFrame({"fpr": fpr[kept], "tpr": tpr[kept], "fnr": 1 - tpr[kept]})
            part.insert(0, "model", model)
            part.insert(1, "score", score)
            part.insert(2, "point", range(len(part)))
            for rate in ("fpr", "fnr"):
                part[f"{rate}_deviate"] = norm.ppf(part[rate].clip(FINEST, 1 - FINEST))
            part["auc"], part["eer"] = area(fpr, tpr), equal_error_rate(fpr, tpr)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


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


def _thin(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Indices of the corners of a step curve, at most ``POINTS`` of them, ends included."""
    step = np.diff(fpr) > 0, np.diff(tpr) > 0
    corner = np.flatnonzero((step[0][1:] != step[0][:-1]) | (step[1][1:] != step[1][:-1])) + 1
    kept = np.unique(np.concatenate([[0], corner, [len(fpr) - 1]]))
    if len(kept) > POINTS:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, POINTS).round().astype(int))]
    return kept
