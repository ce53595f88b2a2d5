# SPDX-License-Identifier: Apache-2.0
"""What a user says of a set where its files do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from facetell.dataset.tree import Vocabulary


@dataclass(frozen=True)
class Hints:
    """What the settings of a set say; the defaults leave everything to its files."""

    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of folders (of labels, in a table) by class."""

    splits: Mapping[str, Sequence[str]] | str = field(default_factory=dict)
    """Names of folders by split, or ``draw``: the folders name none."""

    group: str | None = None
    """A column, or a regular expression over paths, that names the source of an image."""

    generators: Sequence[str] | bool | None = None
    """Names of folders that are generators; False: none are; None: as their names and sizes
    tell."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of a listing by what they hold: path, image, label, split, group, generator,
    platform."""

    masks: str | None = None
    """A folder beside the images with a picture of the altered pixels of each fake."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.classes, self.splits)
