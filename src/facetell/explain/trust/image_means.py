# SPDX-License-Identifier: Apache-2.0
"""Numbers per image of many maps, gathered batch by batch, as a table with intervals by person.

Only numbers are kept, no map: a batch of 32 images with 200 maps costs some hundred kilobytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.metrics.intervals import Resamples, interval

Key = tuple[str, ...]


@dataclass
class _Rows:
    """What is known of the images of one key: values per metric, persons, in order of arrival."""

    persons: list[Any] = field(default_factory=list)
    values: dict[str, list[np.ndarray]] = field(default_factory=dict)


class ImageMeans:
    """Means per key (such as source, method, layer) of numbers per image.

    ``columns`` name the parts of a key; ``resamples`` and ``seed`` are those of every interval.
    Keys that were fed the same persons are resampled alike, so that their differences may be
    compared (a paired bootstrap).

    >>> means = ImageMeans(["method"], resamples=100, seed=0)
    >>> means.add(("gradcam",), {"rra": np.array([0.5, 0.7])}, ["anna", "ben"])
    >>> means.table()[["method", "n", "persons", "rra"]].to_dict("records")
    [{'method': 'gradcam', 'n': 2, 'persons': 2, 'rra': 0.6}]
    """

    def __init__(self, columns: Sequence[str], *, resamples: int, seed: int) -> None:
        self.columns = tuple(columns)
        self.resamples, self.seed = resamples, seed
        self._rows: dict[Key, _Rows] = {}

    def add(self, key: Key, values: Mapping[str, np.ndarray], persons: Sequence[Any]) -> None:
        """Take the numbers of a batch: each of ``values`` (B,), ``persons`` (B,).

        Raises
        ------
        UserError : lengths differ, or a metric is missing that earlier batches of the key had.
        """
        if len(key) != len(self.columns):
            raise UserError(f"a row is named by {', '.join(self.columns)}; got {key}")
        wrong = [name for name, given in values.items() if np.shape(given) != (len(persons),)]
        if wrong:
            raise UserError(f"{wrong[0]} of {key} needs one number for each of {len(persons)}")
        rows = self._rows.setdefault(key, _Rows(values={name: [] for name in values}))
        if set(rows.values) != set(values):
            raise UserError(f"{key} had {sorted(rows.values)} before, now {sorted(values)}")
        rows.persons.extend(persons)
        for name, given in values.items():
            rows.values[name].append(np.asarray(given, dtype=np.float64))

    def add_all(
        self, found: Mapping[Key, Mapping[str, np.ndarray]], persons: Sequence[Any]
    ) -> None:
        """Take the numbers of a batch of several keys, as ``add`` does of one."""
        for key, values in found.items():
            self.add(key, values, persons)

    def __iter__(self) -> Iterator[Key]:
        """The keys in order of arrival."""
        return iter(self._rows)

    def values(self, key: Key) -> dict[str, np.ndarray]:
        """All numbers of a key so far, each (N,)."""
        rows = self._rows[key].values
        return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in
                rows.items()}  # fmt: skip

    def persons(self, key: Key) -> list[Any]:
        """The person of each image of a key, (N,)."""
        return self._rows[key].persons

    def table(self) -> pd.DataFrame:
        """One row per key: its parts, ``n`` images, ``persons``, and for every metric its mean
        with the bounds of a 95% interval (``<metric>_low``, ``<metric>_high``).

        A value that is NaN (undefined for that image) is left out of its metric's mean and
        counted in ``<metric>_undefined`` where there are any.
        """
        records = []
        draws: dict[tuple[Any, ...], Resamples] = {}
        for key, rows in self._rows.items():
            alike = tuple(rows.persons)
            if alike and alike not in draws:
                draws[alike] = Resamples(alike, resamples=self.resamples, seed=self.seed)
            record: dict[str, Any] = dict(zip(self.columns, key, strict=True))
            record |= {"n": len(alike), "persons": len(set(alike))}
            if alike:
                record |= _means(self.values(key), draws[alike])
            records.append(record)
        return pd.DataFrame(records, columns=None if records else [*self.columns, "n", "persons"])


def _means(values: dict[str, np.ndarray], draws: Resamples) -> dict[str, float]:
    names = list(values)
    known = np.stack([np.isfinite(values[name]) for name in names], axis=1)
    filled = np.where(known, np.stack([values[name] for name in names], axis=1), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing known: NaN
        means = filled.sum(axis=0) / known.sum(axis=0)
        drawn = draws.sums(filled - np.where(known, means, 0)) / draws.sums(known) + means
    record: dict[str, float] = {}
    for column, name in enumerate(names):
        if known[:, column].any():
            low, high = interval(drawn[:, column])
        else:
            low = high = float("nan")
        record |= {name: float(means[column]), f"{name}_low": low, f"{name}_high": high}
        if not known[:, column].all():
            record[f"{name}_undefined"] = int((~known[:, column]).sum())
    return record
