"""Seeds that depend on what they are for, not on the order in which things are drawn."""

import hashlib


def seed_of(*parts: object) -> int:
    """A 63-bit seed from any printable parts; the same on every machine and Python."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
