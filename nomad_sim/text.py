"""Words that depend on a number."""

from __future__ import annotations


def pluralize(number: int, word: str) -> str:
    """``1 server``, ``2 servers``."""
    return f"{number} {word}{'' if number == 1 else 's'}"
