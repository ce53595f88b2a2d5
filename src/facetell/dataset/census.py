# SPDX-License-Identifier: Apache-2.0
"""Every file of an archive is an image of the set, is set aside, or is counted with a reason."""

from collections import Counter
from collections.abc import Set
from pathlib import PurePosixPath

from facetell.dataset.tree import hidden
from facetell.images.archive import Archive
from facetell.images.decoding import SUFFIXES, Unusable, looks_like_an_image

FOREIGN = (  # images that are not read: they are set aside by name, not passed over
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".tga", ".ppm", ".pgm"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".orf", ".rw2", ".exr", ".hdr", ".ico"),
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst")
HEAD = 64  # bytes that tell what a file is
HIDDEN, UNLISTED = "hidden or system files", "images that are in no class or not listed"
NESTED = "archives inside the archive"


def images(archive: Archive) -> list[str]:
    """Files that are images by their ending or by their content, those of a system left out.

    >>> import zipfile
    >>> from facetell.images.opening import open_archive
    >>> with zipfile.ZipFile("mixed.zip", "w") as file:
    ...     file.writestr("real/a", bytes.fromhex("ffd8ffe0") + bytes(60))
    ...     file.writestr("real/b.jpg", b"")
    ...     file.writestr("real/c.txt", b"words")
    >>> with open_archive("mixed.zip") as archive:
    ...     images(archive), ignored(archive, set(images(archive)))
    (['real/a', 'real/b.jpg'], {'txt files': 1})
    """
    return [name for name in archive.names if not hidden(name) and _is_image(archive, name)]


def ignored(archive: Archive, used: Set[str]) -> dict[str, int]:
    """How many files of the archive are not among the ``used`` paths, by why."""
    counts = Counter(archive.left_out)
    for name in archive.names:
        if name not in used:
            counts[_why(archive, name)] += 1
    return dict(sorted(counts.items()))


def seen(archive: Archive) -> int:
    """Files in the archive and in the folder that it was made from."""
    return len(archive.names) + sum(archive.left_out.values())


def _is_image(archive: Archive, name: str) -> bool:
    if PurePosixPath(name).suffix.lower() in (*SUFFIXES, *FOREIGN):
        return True
    try:
        return looks_like_an_image(archive.read(name, HEAD))
    except Unusable:
        return False


def _why(archive: Archive, name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    if hidden(name):
        return HIDDEN
    if suffix in ARCHIVES:
        return NESTED
    if _is_image(archive, name):
        return UNLISTED
    return kind_of(suffix)


def kind_of(suffix: str) -> str:
    """Files of one ending in words.

    >>> kind_of(".txt"), kind_of("")
    ('txt files', 'files without an ending')
    """
    return f"{suffix[1:]} files" if suffix.strip(".") else "files without an ending"
