"""Reads a JSON body part by part, so that a broken part costs only itself."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

TEXT_LIMIT = 1024
"""A longer text is no name, version or address of Nomad's; it is left out as a flaw."""

INTEGER_LIMIT = 2**31
"""No count or version of Nomad's is greater; an endless row of digits would break the page."""

INVALID_FIELDS_LIMIT = 1000
"""Flaws that are kept of one answer; whoever sends more sends no answer of Nomad's."""

ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that msgspec raises for a body: it lets UnicodeDecodeError and RecursionError through."""


class TooMany(ValueError):
    """An answer that lists more than any real one does; the text says of what, and how many there may be."""


class LenientDecoder:
    """Reads the parts of one body and collects in ``flaws`` the names of those that could not be read."""

    def __init__(self) -> None:
        self.invalid_fields: list[str] = []

    def mark_invalid(self, where: str) -> None:
        if len(self.invalid_fields) < INVALID_FIELDS_LIMIT:
            self.invalid_fields.append(where)

    def read(self, raw: msgspec.Raw, kind: type[T], where: str, limit: int = TEXT_LIMIT) -> T | None:
        """The part ``raw`` as ``kind``; None where it is missing, null or, which is a flaw, something else.

        ``limit`` is the greatest length of a text, in characters.
        """
        content = bytes(raw)
        if content in (b"", b"null"):
            return None
        try:
            value = msgspec.json.decode(content, type=kind)
        except ERRORS:
            self.mark_invalid(where)
            return None
        if (isinstance(value, str) and len(value) > limit) or (isinstance(value, int) and abs(value) > INTEGER_LIMIT):
            self.mark_invalid(where)
            return None
        return value

    def text(self, raw: msgspec.Raw, where: str) -> str:
        """The part ``raw`` as a text, empty where there is none."""
        return self.read(raw, str, where) or ""
