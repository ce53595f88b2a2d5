# SPDX-License-Identifier: Apache-2.0
"""What a reader must beware of: rendered images, shortcuts, leaks, files set aside, and the most
confident mistake."""

from urllib.parse import urlencode

from facetell.report.number_format import counted, tallied
from facetell.report.page.claims.claim import Said
from facetell.report.page.inputs import Inputs
from facetell.report.page.mistakes import most_confident
from facetell.report.page.parts import slug
from facetell.report.sections.data import SHORTCUTS

DATA, PAIRS = "Data", "Pairs across splits"  # titles of their sections


def beware(found: Inputs) -> list[Said]:
    """Warnings first."""
    return [
        *_rendered(found),
        *_shortcuts(found),
        _leaks(found),
        *_aside(found),
        *(Said(f"{sentence}.", "data", DATA, loud=True) for sentence in found.data["warnings"]),
        *_mistake(found),
    ]


def _rendered(found: Inputs) -> list[Said]:
    rendered = found.data["rendered"]
    if not rendered["images"]:
        return []
    some = "All" if rendered["images"] == rendered["of"] else f"{rendered['images']:,} of the"
    text = f"{some} images are **rendered, not photos**: these numbers say nothing about photos."
    return [Said(text, "data", DATA, loud=True)]


def _shortcuts(found: Inputs) -> list[Said]:
    audit = found.data["audit"]
    if audit["warnings"]:
        return [
            Said(f"**Shortcut**: {sentence}", "shortcuts", SHORTCUTS, loud=True)
            for sentence in audit["warnings"]
        ]
    if not audit["auc"]:
        return []
    return [
        Said(
            "No shortcut: no property of the files, nor all of them together, gives the label away "
            f"with an AUC above {audit['limit']:.2f}.",
            "shortcuts", SHORTCUTS,
        )
    ]  # fmt: skip


def _leaks(found: Inputs) -> Said:
    number = int(found.files.get("leaks", 0))
    alike = tallied(found.data["pairs_across_splits"])
    if number:
        text = f"**Leak**: {counted(number, 'pair')} of images across splits show one face."
    else:
        text = "No leak: no face is on two sides of the split"
        text += f" ({alike} across splits, which are listed)." if alike else "."
    if not len(found.leaks):
        return Said(text, "data", DATA, loud=number > 0)
    return Said(text, slug(PAIRS), PAIRS, loud=number > 0)


def _aside(found: Inputs) -> list[Said]:
    aside = found.data["set_aside"]
    if not aside["count"]:
        return [Said("No file was set aside as unusable.", "data", DATA)]
    text = f"{counted(aside['count'], 'file')} cannot be used: {tallied(aside['reasons'])}."
    return [Said(text, "data", DATA, loud=True)]


def _mistake(found: Inputs) -> list[Said]:
    worst = most_confident(found, found.best)
    if worst is None:
        return [Said(f"`{found.best}` makes no mistake on these images.", "images",
                     "Test images")]  # fmt: skip
    kind = "a fake" if worst.fake else "a real image"
    text = (
        f"The most confident mistake of `{found.best}` is `{worst.id}`: {kind}, to which it gives "
        f"a calibrated probability of {worst.probability:.1%} to be fake."
    )
    state = urlencode({"model": found.best, "image": worst.id})
    return [Said(text, f"browse?{state}", "Look at it")]
