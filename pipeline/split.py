# SPDX-License-Identifier: Apache-2.0
"""split: look at every image, give each a split, and stop where a face is on two sides."""

import sys

from joblib import cpu_count

from facetell.common.files import write_csv, write_json
from facetell.dataset.account import account
from facetell.dataset.build import build
from facetell.dataset.layouts import listing
from facetell.dataset.leaks import gate, worth
from facetell.dataset.manifest import check
from facetell.dataset.splits import Splitting
from facetell.dataset.stored import write_manifest
from facetell.images.opening import open_archive
from facetell.images.reencoding import Treatment
from pipeline import paths
from pipeline.settings import Settings
from pipeline.stage import run


def main() -> None:
    data = Settings.load().data
    raw, split = paths.raw(data.name), data.split
    listings = {}
    for name, chosen in data.sets.items():
        with open_archive(raw / name) as archive:
            listings[name] = listing(chosen.layout, archive, chosen.hints)
    found = build(
        {name: listed.table for name, listed in listings.items()},
        {name: raw / name for name in listings},
        Splitting(
            valid=split.valid,
            test=split.test,
            seed=split.seed,
            drop=split.leaks == "drop",
            train_on=data.train_on,
            uses={name: chosen.use for name, chosen in data.sets.items()},
        ),
        grouped={name: listed.grouped for name, listed in listings.items()},
        launder=data.launder,
        harmonise=Treatment(harmonise=data.harmonise, **dict(data.harmonised)),
        findings=paths.user_path(paths.FINDINGS / data.name),
        workers=cpu_count(),
    )
    said = account(listings, found)
    write_json(paths.FILES, said)
    # listed before the checks: whoever is stopped there wants to see them
    write_csv(paths.LEAKS, found.leaks)
    write_csv(paths.SET_ASIDE, found.aside)
    leaks = worth(found.leaks, found.leaking, split.leaks, str(paths.LEAKS))
    for sentence in [*said["warnings"], *leaks]:
        print(f"facetell: warning: {sentence}", file=sys.stderr)
    check(found.manifest, str(paths.SET_ASIDE))
    gate(found.leaks, split.leaks, str(paths.LEAKS))
    write_manifest(paths.MANIFEST, found.manifest)


if __name__ == "__main__":
    run(main)
