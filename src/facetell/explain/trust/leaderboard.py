# SPDX-License-Identifier: Apache-2.0
"""Which method at which layer finds what was planted, and by how much it leads what knows nothing.

A map finds something only if it leads every one of these: chance, the blind maps, the same map of
the untrained network, and itself with masks of other persons' fakes. Leads are differences on the
same images, so what makes an artefact easy to find cancels out. That a map leads all of its rivals
needs no correction for the number of rivals (an intersection-union test, Berger 1982). The number
of maps does: the bounds of their smallest leads hold all at once, see
``facetell.metrics.simultaneous``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from facetell.common.errors import UserError
from facetell.common.seeding import seed_of
from facetell.explain.trust.image_means import ImageMeans, Key
from facetell.explain.trust.planted import METRIC, METRICS, near, scores
from facetell.metrics.simultaneous import Means

LEADS = (f"{METRIC}_lead", f"{METRIC}_lead_low", f"{METRIC}_lead_low_all")
ELSEWHERE = f"{METRIC}_excess_low_all"


class Leaderboard:
    """Which method at which layer finds what was planted; memory grows by numbers, not by maps.

    Artefacts sit on heads, so a map that always points at the middle beats the area share without
    knowing anything of the image. The level that means "finds nothing" is what a map gets with
    masks of other persons' fakes: ``<metric>_elsewhere``. A map that does not depend on where this
    image's artefact lies, the centre prior among them, has the same for both in expectation.

    ``pool`` are the masks bool (M, S, S) of the fakes that are scored, ``pool_persons`` theirs;
    ``others`` of these masks are drawn for each image, ``resamples`` for the intervals.
    """

    def __init__(
        self,
        pool: np.ndarray,
        pool_persons: Sequence[Any],
        *,
        others: int,
        resamples: int,
        seed: int,
    ) -> None:
        self._pool = _checked(pool)
        self._pool_near = near(self._pool)
        self._pool_persons = np.asarray(pool_persons, dtype=str)
        self.others, self.seed = others, seed
        self._means = ImageMeans(
            ("source", "fakes", "method", "layer"), resamples=resamples, seed=seed
        )

    def scored(
        self,
        maps: Mapping[str, Mapping[str, np.ndarray]],
        masks: np.ndarray,
        ids: Sequence[Any],
        persons: Sequence[Any],
        *,
        source: str,
        fakes: str,
    ) -> dict[Key, dict[str, np.ndarray]]:
        """The numbers (B,) of a batch by key, which ``take`` enters; any process can make them.

        Parameters
        ----------
        maps : ``maps[method][layer]`` (B, h, w). Fakes that the model does not tell by their
            artefacts (``gated``) are to be left out beforehand.
        masks : bool (B, S, S).
        source, fakes : (trained, untrained, baseline) and (single, several) keep apart what is set
            side by side. Several untrained networks may be entered one after the other: ``n`` then
            counts maps, and persons stay the unit of the intervals.

        Raises
        ------
        UserError : as ``scores``, or there is no other person in the pool.
        """
        masks = _checked(masks)
        drawn = np.stack([self.others_of(*pair) for pair in zip(ids, persons, strict=True)])
        every = np.concatenate([masks[:, None], self._pool[drawn]], axis=1)
        wide = np.concatenate([near(masks)[:, None], self._pool_near[drawn]], axis=1)
        rows: dict[Key, dict[str, np.ndarray]] = {}
        for method, layers in maps.items():
            for layer, values in layers.items():
                scored = scores(values, every, wide)
                row = {name: numbers[:, 0] for name, numbers in scored.items()}
                for name in METRICS:
                    elsewhere = scored[name][:, 1:].mean(axis=1)
                    row[f"{name}_elsewhere"] = elsewhere
                    row[f"{name}_excess"] = row[name] - elsewhere
                rows[source, fakes, method, layer] = row
        return rows

    def take(self, found: Mapping[Key, Mapping[str, np.ndarray]], persons: Sequence[Any]) -> None:
        """Enter the numbers of a batch, as ``scored`` gives them."""
        self._means.add_all(found, persons)

    def table(self) -> pd.DataFrame:
        """One row per source, kind of fakes, method and layer: ``n``, ``persons``, and with 95%
        intervals by person (``_low``, ``_high``) each of ``METRICS``; the same map's with masks of
        others (``_elsewhere``) and the difference (``_excess``); and the area share (``area``,
        ``area_near``), which is chance.

        Maps of trained networks also have their lead: ``rra_lead``, how far their RRA is above the
        highest of what knows nothing; the lower bounds of the smallest lead for this map alone
        (``rra_lead_low``) and for all maps of its kind of fakes at once (``rra_lead_low_all``);
        and ``rra_excess_low_all``, the same of the excess alone.
        """
        table = self._means.table()
        kinds = dict.fromkeys(key[1] for key in self._means if key[0] == "trained")
        leads = [self._leads(kind) for kind in kinds]
        if not leads:
            return table
        keys = list(self._means.columns)
        return table.merge(pd.concat(leads), on=keys, how="left", validate="many_to_one")

    def _leads(self, fakes: str) -> pd.DataFrame:
        """The columns ``LEADS`` and ``ELSEWHERE`` of each trained map on one kind of fakes."""
        maps = [key for key in self._means if key[:2] == ("trained", fakes)]
        persons = self._means.persons(maps[0])
        if any(self._means.persons(key) != persons for key in maps):
            raise UserError("not all maps were scored on the same images: their leads differ")
        found, nearest, specific = [], [], []
        for key in maps:
            own = self._means.values(key)[METRIC]
            leads = np.stack([own - rival for rival in self._rivals(key)], axis=1)
            means = self._bounded(leads, persons)
            alone = means.lower(together=False)
            found.append((means.value.min(), alone.min()))
            nearest.append(leads[:, alone.argmin()])
            specific.append(leads[:, 0])  # the first rival is elsewhere
        together = [
            self._bounded(np.stack(values, axis=1), persons).lower()
            for values in (nearest, specific)
        ]
        table = pd.DataFrame(maps, columns=list(self._means.columns))
        columns = [*np.array(found).T, *together]
        return table.assign(**dict(zip((*LEADS, ELSEWHERE), columns, strict=True)))

    def _bounded(self, values: np.ndarray, persons: Sequence[Any]) -> Means:
        return Means(values, persons, resamples=self._means.resamples, seed=self._means.seed)

    def _rivals(self, key: Key) -> list[np.ndarray]:
        """What a map of the trained network has to lead, (N,) each: itself elsewhere, chance, the
        blind maps, and the same map of the untrained network if it is there."""
        own, images = self._means.values(key), self._means.persons(key)
        others = [
            other
            for other in self._means
            if (other[:2] == ("baseline", key[1]) or other == ("untrained", *key[1:]))
            and self._means.persons(other) == images
        ]
        alike = [self._means.values(other)[METRIC] for other in others]
        return [own[f"{METRIC}_elsewhere"], own["area"], *alike]

    def values(
        self, metric: str, *, source: str, fakes: str
    ) -> tuple[list[tuple[str, str]], np.ndarray, list[Any]]:
        """Maps (method, layer), a metric of their images (N, maps), and the images' persons (N,):
        the truth that ``facetell.explain.trust.agreement`` sets other measures beside.

        Raises
        ------
        UserError : the maps were not all scored on the same images.
        """
        keys = [key for key in self._means if key[:2] == (source, fakes)]
        if not keys:
            raise UserError(f"no {fakes} fakes of {source} were scored")
        persons = self._means.persons(keys[0])
        if any(self._means.persons(key) != persons for key in keys):
            raise UserError("not all maps were scored on the same images, so they have no matrix")
        columns = [self._means.values(key)[metric] for key in keys]
        return [(key[2], key[3]) for key in keys], np.stack(columns, axis=1), persons

    def others_of(self, name: Any, person: Any) -> np.ndarray:
        """Indices in the pool of ``others`` masks of other persons, drawn by the image's name."""
        strangers = np.flatnonzero(self._pool_persons != str(person))
        if not len(strangers):
            raise UserError("planted truth needs the masks of at least two persons to compare")
        random = np.random.default_rng(seed_of(self.seed, "elsewhere", name))
        return random.choice(strangers, self.others)


def _checked(masks: np.ndarray) -> np.ndarray:
    masks = np.asarray(masks, dtype=bool)
    if masks.ndim != 3 or masks.shape[1] != masks.shape[2] or not masks.any(axis=(1, 2)).all():
        raise UserError(
            f"planted artefacts need square masks (B, S, S) with pixels in each; got {masks.shape}"
        )
    return masks
