# SPDX-License-Identifier: Apache-2.0
"""The ROC curve of one model in several versions."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from facetell.common.figure_style import WIDTH, legible, look, plt

SMALLEST = 1e-3  # false positive rate where the logarithmic axis begins, at most
LONGEST = 30  # characters of a version's name


def roc_of_versions(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """ROC with fake as positive, a line for each version; FPR on a linear and a log axis.

    ``curves`` by version: rows of plots/roc.csv of one model and score (fpr, tpr, in [0, 1]).
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 4.2), sharey=True)
    positive = [float(table["fpr"][table["fpr"] > 0].min()) for table in curves.values()]
    start = min([SMALLEST * 10, *filter(np.isfinite, positive)])
    for axis, log in zip(axes, (False, True), strict=True):
        rates = np.geomspace(start, 1, 200) if log else np.array([0, 1])
        axis.plot(rates, rates, color="0.6", linewidth=1, label="chance")
        for number, (name, style) in enumerate(look(curves).items()):
            table = curves[name]
            fpr = table["fpr"].clip(lower=start) if log else table["fpr"]
            # the later lines are thinner, so that equal curves show both
            axis.plot(
                fpr, table["tpr"], color=style["color"], linestyle=style["linestyle"],
                linewidth=max(1.4, 3 - number), label=legible(name, LONGEST),
            )  # fmt: skip
        axis.set(xlabel="false positive rate: real images called fake" + ", log axis" * log)
    axes[0].set(ylabel="true positive rate: fakes found", ylim=(0, 1.01), xlim=(-0.01, 1))
    axes[1].set(xscale="log", xlim=(start, 1))
    axes[1].xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, handlelength=3.5)
    return figure
