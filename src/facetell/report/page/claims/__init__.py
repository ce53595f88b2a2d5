# SPDX-License-Identifier: Apache-2.0
"""The first screen: four questions, each answered in a few sentences that lead to their
evidence."""

from facetell.report.page.claims.beware import beware
from facetell.report.page.claims.breaks import breaks
from facetell.report.page.claims.claim import Claim, Said
from facetell.report.page.claims.looks import looks
from facetell.report.page.claims.works import works
from facetell.report.page.inputs import Inputs

__all__ = ["Claim", "Said", "claims"]


def claims(found: Inputs) -> list[Claim]:
    """In reading order; a question to which there is no answer says so."""
    return [
        Claim("Which detector works here?", works(found)),
        Claim("What breaks it?", breaks(found)),
        Claim("Where does it look, and can that be believed?", looks(found)),
        Claim("What should I beware of?", beware(found)),
    ]
