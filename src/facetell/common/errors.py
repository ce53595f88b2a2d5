# SPDX-License-Identifier: Apache-2.0
"""The one exception that users are meant to read."""


class UserError(Exception):
    """Something that the user can mend: names the file or key, and says what to do."""


def brief(error: BaseException) -> str:
    """Type and first line of what lies behind an error of a library, whose text may be pages.

    >>> brief(ValueError("no number\\nand much more"))
    'ValueError: no number'
    """
    error = error.__cause__ or error
    return f"{type(error).__name__}: {(str(error).strip() or 'no details').splitlines()[0]}"
