# SPDX-License-Identifier: Apache-2.0
"""The one exception that users are meant to read, and how what they gave is named in it."""

import errno
import io
import sys

# what to do about an error of a file or folder, by its number
REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file, not a folder: check the path",
    errno.EISDIR: "it is a folder: name a file",
    errno.EEXIST: "something of that name is in the way: move it, or name another place",
    errno.EACCES: "get the right to it (chmod, or its owner), or name another place",
    errno.EPERM: "get the right to it (chmod, or its owner), or name another place",
    errno.EROFS: "it cannot be written there: name another place",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "its links lead back to it: mend them",
    errno.EBUSY: "something else uses it: close that, and run again",
    errno.EIO: "the disk, or the connection to it, fails: copy the file elsewhere, and run again",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENOSPC: "make room and run again",
    errno.EDQUOT: "make room and run again",
    errno.EFBIG: "name a place on a disk that takes larger files",
}


class UserError(Exception):
    """Something that the user can mend: names the file or key, and says what to do."""


def brief(error: BaseException) -> str:
    """Type and first line of what lies behind an error of a library, whose text may be pages.

    >>> brief(ValueError("no number\\nand much more"))
    'ValueError: no number'
    """
    error = error.__cause__ or error
    return f"{type(error).__name__}: {(str(error).strip() or 'no details').splitlines()[0]}"


def printable(text: object) -> str:
    """A name as it can be shown: what would not be seen, or act on a terminal, as escapes.

    >>> print(printable("a\\nb \\udce4 日本.png"))
    a\\nb \\xe4 日本.png
    """
    return "".join(c if c.isprintable() else _escape(c) for c in str(text))


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is not in the system's encoding
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def remedied(error: OSError) -> str:
    """What is wrong with a file, and what to do.

    >>> remedied(FileNotFoundError(errno.ENOENT, "No such file or directory", "a.jpg"))
    'No such file or directory; check the path'
    """
    what = error.strerror or str(error)
    remedy = REMEDIES.get(error.errno or 0)
    return f"{what}; {remedy}" if remedy else what


def in_words(error: Exception) -> str | None:
    """The line by which a command ends: of a user's error, or of a file that cannot be used; None
    for others, which are ours.

    >>> in_words(PermissionError(errno.EACCES, "Permission denied", "a.jpg"))
    'a.jpg: Permission denied; get the right to it (chmod, or its owner), or name another place'
    """
    if isinstance(error, UserError):
        return "\n".join(map(printable, str(error).splitlines()))
    if not isinstance(error, OSError) or error.errno not in REMEDIES:
        return None
    file = error.filename2 or error.filename  # of two, the one that was to be written
    return printable(f"{file}: {remedied(error)}" if file else remedied(error))


def print_anything() -> None:
    """From here on printing does not fail where the terminal's encoding lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
