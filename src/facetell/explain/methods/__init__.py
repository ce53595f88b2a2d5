"""Explanation methods, one family a module; each registers itself."""
