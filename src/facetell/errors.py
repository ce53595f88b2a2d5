"""The one exception that users are meant to read."""


class UserError(Exception):
    """Something that the user can mend: names the file or key, and says what to do."""
