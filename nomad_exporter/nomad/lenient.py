"""Decoder of a JSON body field by field, so that an invalid field loses only its own value."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec.json import Decoder

T = TypeVar("T")

# Every decoder is built at import: msgspec builds the type information of a Struct at its first use, and crashes the
# process if two threads do so at the same time.
TEXT = Decoder(str)
INTEGER = Decoder(int)
BOOLEAN = Decoder(bool)
OBJECT = Decoder(dict[str, msgspec.Raw])

TEXT_LIMIT = 300
"""Maximum length of a text, in bytes of UTF-8; the longest host name with a port has 259."""

INTEGER_LIMIT = 2**31
"""Maximum absolute value of an integer; greater than any count or version of Nomad."""

INVALID_FIELDS_LIMIT = 1000
"""Maximum number of invalid fields recorded for one body."""

ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
"""Every exception that msgspec raises for a body: UnicodeDecodeError and RecursionError are not wrapped."""


class TooMany(ValueError):
    """An answer that lists more items than any real one; the message names the items and the limit."""


def _is_longer(text: str, limit: int) -> bool:
    return len(text) > limit or (not text.isascii() and len(text.encode()) > limit)


class LenientDecoder:
    """A decoder for the fields of one body; ``invalid_fields`` names those that could not be decoded."""

    def __init__(self) -> None:
        self.invalid_fields: list[str] = []

    def mark_invalid(self, field: str) -> None:
        """Record ``field`` as invalid, up to ``INVALID_FIELDS_LIMIT`` fields."""
        if len(self.invalid_fields) < INVALID_FIELDS_LIMIT:
            self.invalid_fields.append(field)

    def read(self, raw: msgspec.Raw, decoder: Decoder[T], field: str, limit: int = TEXT_LIMIT) -> T | None:
        """Return ``raw`` decoded by ``decoder``; None if it is missing, null or invalid.

        An invalid value is recorded under the name ``field``. ``limit`` is the maximum length of a text, in bytes.
        """
        content = bytes(raw)
        if content in (b"", b"null"):
            return None
        try:
            value = decoder.decode(content)
        except ERRORS:
            self.mark_invalid(field)
            return None
        if (isinstance(value, str) and _is_longer(value, limit)) or (
            isinstance(value, int) and abs(value) > INTEGER_LIMIT
        ):
            self.mark_invalid(field)
            return None
        return value

    def text(self, raw: msgspec.Raw, field: str) -> str:
        """Return ``raw`` decoded as a text; empty if it is missing, null or invalid."""
        return self.read(raw, TEXT, field) or ""
