# SPDX-License-Identifier: Apache-2.0
"""What the folders of a set mean: class, split, and what is left over.

A folder is read word by word (``Training_Real``, ``trainReal``, ``0_real``), wherever it stands.
What is not understood is never guessed: where some folders name a split, every image must be in
one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from facetell.common.errors import UserError
from facetell.common.labels import CLASSES, SPLITS

Folders = tuple[str, ...]

CLASS_WORDS = {
    "real": (
        *("real", "reals", "original", "originals", "nature", "natural", "authentic", "genuine"),
        *("pristine", "bonafide", "truth"),
    ),
    "fake": (
        *("fake", "fakes", "synthetic", "synthesis", "synthesized", "synthesised", "ai"),
        *("generated", "altered", "manipulated", "manipulation", "forged", "forgery", "tampered"),
        *("deepfake", "deepfakes", "spoof", "swapped"),
    ),
}
SPLIT_WORDS = {
    "train": ("train", "training", "trn"),
    "valid": ("val", "valid", "validation", "validate", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
}
EVAL = ("eval", "evaluation")  # the test set of some, the validation set of others
FILLERS = frozenset(  # words that say nothing
    (
        *("a", "and", "class", "data", "dataset", "datasets", "deep", "folder", "new", "of", "the"),
        *("crop", "crops", "cropped", "face", "faces", "frame", "frames", "human", "humans", "v"),
        *("image", "images", "img", "imgs", "people", "photo", "photos", "pic", "pics", "picture"),
        *("pictures", "sequence", "sequences", "set", "sets", "split", "splits", "video", "videos"),
    )
)
UNDERSTOOD = FILLERS.union(EVAL, *CLASS_WORDS.values(), *SPLIT_WORDS.values())
SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
DRAW = "draw"  # said for the splits: the folders mean none, they are drawn
SHOWN = 30  # folders in a message

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")


@dataclass(frozen=True)
class Place:
    """What is understood of a folder: ``label`` None where no class is named, ``split`` "" where
    none is, and the names ``above`` and ``below`` the one that names the class, without those that
    name a split."""

    label: int | None
    split: str
    above: Folders = ()
    below: Folders = ()


@dataclass(frozen=True)
class Vocabulary:
    """Which words name a class or a split; a user's own go before the usual ones.

    >>> Vocabulary(classes={"fake": ["sdxl"]}).understand({("train", "SDXL"): 1})
    {('train', 'SDXL'): Place(label=1, split='train', above=(), below=())}
    """

    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    splits: Mapping[str, Sequence[str]] | str = field(default_factory=dict)

    def __post_init__(self) -> None:
        _known("data.classes", self.classes, CLASSES)
        if isinstance(self.splits, str):
            if self.splits != DRAW:
                raise UserError(
                    f"data.splits: {self.splits!r} is neither {DRAW} nor words by split"
                )
        else:
            _known("data.splits", self.splits, SPLITS)

    def understand(self, folders: Mapping[Folders, int]) -> dict[Folders, Place]:
        """What each folder means, from all that have images and how many.

        Raises
        ------
        UserError : a folder lies in both classes or in two splits, or no folder names a split for
            some images while others do; the tree is shown as it was understood.
        """
        at = self._class_positions(folders)
        splits = {path: self._split_positions(path, folders) for path in folders}
        places = {}
        for path in folders:
            names = {split for _, split in splits[path]}
            if len(names) > 1 and self.splits != DRAW:
                raise UserError(
                    f"the folder {'/'.join(path)} names two splits, {' and '.join(sorted(names))}: "
                    "rename one of its folders, or say data.splits={train: [...], test: [...]}"
                )
            used = {index for index, _ in splits[path]}
            position, label = at.get(path, (len(path), None))
            rest = [(index, name) for index, name in enumerate(path) if index not in used]
            places[path] = Place(
                label,
                "" if self.splits == DRAW else next(iter(names), ""),
                tuple(name for index, name in rest if index < position),
                tuple(name for index, name in rest if index > position),
            )
        _every_image_has_a_split(folders, places)
        return places

    def label(self, word: str, *, whole: bool = True) -> int | None:
        """The class that a label names, 0 real, 1 fake, None where it is not understood.

        ``whole``: every word of it must be understood.

        >>> [Vocabulary().label(word) for word in ("AI-generated", "not real", "1")]
        [1, None, None]
        """
        said = self._said(word, self.classes) or _class_of(word, whole=whole)
        return None if said is None else CLASSES.index(said)

    def split(self, word: str, others: Iterable[str]) -> str:
        """The split that a word names among ``others``, "" where it is not understood.

        >>> Vocabulary().split("dev", ["training", "dev", "test"])
        'valid'
        """
        if isinstance(self.splits, str):
            return ""
        return self._said(word, self.splits) or _split_of(word, [(one,) for one in others]) or ""

    def _class_positions(self, folders: Iterable[Folders]) -> dict[Folders, tuple[int, int]]:
        """Where the class of each folder is named, and the class as a number."""
        exact, partial = {}, {}
        for path in folders:
            exact[path] = self._class_names(path, whole=True)
            partial[path] = self._class_names(path, whole=False)
        depths: dict[int, set[int]] = {}
        for found in exact.values():
            for index, label in found:
                depths.setdefault(index, set()).add(label)
        both = {index for index, labels in depths.items() if len(labels) > 1}
        positions = {}
        for path in exact:
            # a name that all images share, such as deepfake/real and deepfake/fake, tells nothing
            found = [one for one in exact[path] if one[0] in both] or exact[path] or partial[path]
            if len({label for _, label in found}) > 1:
                raise UserError(
                    f"the folder {'/'.join(path)} is named both {' and '.join(CLASSES)}: rename "
                    "it, or say which names count: data.classes={real: [...], fake: [...]}"
                )
            if found:
                positions[path] = found[0]
        return positions

    def _class_names(self, path: Folders, *, whole: bool) -> list[tuple[int, int]]:
        found = []
        for index, name in enumerate(path):
            said = self._said(name, self.classes)
            label = said if said is not None else _class_of(name, whole=whole)
            if label is not None:
                found.append((index, CLASSES.index(label)))
        if self.classes and (
            own := [one for one in found if self._said(path[one[0]], self.classes)]
        ):
            return own
        return found

    def _split_positions(self, path: Folders, folders: Iterable[Folders]) -> list[tuple[int, str]]:
        said = {} if isinstance(self.splits, str) else self.splits
        found = []
        for index, name in enumerate(path):
            split = self._said(name, said) or _split_of(name, folders)
            if split:
                found.append((index, split))
        return found

    @staticmethod
    def _said(name: str, words: Mapping[str, Sequence[str]]) -> str | None:
        """The class or split for which the user named this folder."""
        lower = name.casefold()
        return next((key for key, names in words.items() if lower in map(_folded, names)), None)


def _folded(name: object) -> str:
    return str(name).casefold()


def _known(key: str, words: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    for name, listed in words.items():
        if name not in names:
            raise UserError(f"{key}: there is no {name!r}; there are {', '.join(names)}")
        if isinstance(listed, str):
            raise UserError(f"{key}.{name} must be a list: [{listed}]")


@lru_cache(maxsize=65536)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in small letters, numbers left out.

    >>> words_of("Training_Real"), words_of("0_real"), words_of("testFAKE2")
    (('training', 'real'), ('real',), ('test', 'fake'))
    """
    return tuple(word.lower() for word in _WORD.findall(name) if not word.isdigit())


def hidden(path: str) -> bool:
    """Whether a file or a folder above it is one that people do not see, or a system's own.

    >>> hidden("real/.thumbs/a.jpg"), hidden("__MACOSX/real/a.jpg"), hidden("real/a.jpg")
    (True, True, False)
    """
    parts = path.split("/")
    return any(part.startswith(".") or part in SYSTEM for part in parts)


@lru_cache(maxsize=65536)
def _class_of(name: str, *, whole: bool) -> str | None:
    """The class that a folder names; ``whole``: by words that are all understood."""
    words = words_of(name)
    named = {kind for kind, known in CLASS_WORDS.items() if set(words) & set(known)}
    if len(named) != 1:  # none, or both: real_vs_fake
        return None
    return named.pop() if not whole or set(words) <= UNDERSTOOD else None


def _split_of(name: str, folders: Iterable[Folders]) -> str | None:
    words = set(words_of(name))
    if not words <= UNDERSTOOD:
        return None
    named = {split for split, known in SPLIT_WORDS.items() if words & set(known)}
    if words & set(EVAL):
        others = {word for path in folders for part in path for word in words_of(part)}
        tested = bool(others & set(SPLIT_WORDS["test"]))
        validated = bool(others & set(SPLIT_WORDS["valid"]))
        named.add("test" if validated or not tested else "valid")
    return named.pop() if len(named) == 1 else None


def _every_image_has_a_split(
    folders: Mapping[Folders, int], places: Mapping[Folders, Place]
) -> None:
    known = {path: place for path, place in places.items() if place.label is not None}
    lacking = [path for path, place in known.items() if not place.split]
    if lacking and len(lacking) < len(known):
        number = sum(folders[path] for path in lacking)
        raise UserError(
            f"{number:,} images are in no split, such as those in {'/'.join(lacking[0]) or '.'}, "
            "although other folders name one. Understood was:\n"
            + shown(folders, places)
            + "\nRename the folder, or say what it is: data.splits={valid: [NAME]}; "
            f"data.splits={DRAW} ignores the splits of the folders and draws others"
        )


def shown(folders: Mapping[Folders, int], places: Mapping[Folders, Place]) -> str:
    """The tree as it was understood, a line for each split and class with the folders' names.

    >>> tree = {("train", "real"): 2, ("train", "fake"): 3, ("docs",): 1}
    >>> print(shown(tree, Vocabulary().understand(tree)))
    train, fake: 3 images in train/fake
    train, real: 2 images in train/real
    no class: 1 images in docs
    """
    groups: dict[tuple[str, str], Counter[str]] = {}
    for path, number in folders.items():
        place = places[path]
        kind = "no class" if place.label is None else CLASSES[place.label]
        groups.setdefault((place.split, kind), Counter())["/".join(path) or "."] += number
    lines = []
    last = "no class"
    for (split, kind), counted in sorted(
        groups.items(), key=lambda one: (one[0][1] == last, one[0])
    ):
        names = sorted(counted)
        where = ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
        title = kind if kind == "no class" else f"{split or 'no split'}, {kind}"
        lines.append(f"{title}: {sum(counted.values()):,} images in {where}")
    return "\n".join(lines[:SHOWN])
