"""Minimal profiles and an empty execution trace, valid for ``go tool pprof`` and ``go tool trace``.

A profile is a gzipped protobuf message of the type ``Profile`` in pprof's ``profile.proto``.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping

_CONTENTION = (("contentions", "count"), ("delay", "nanoseconds"))
_MEMORY = (
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
)

SAMPLE_TYPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "profile": (("samples", "count"), ("cpu", "nanoseconds")),
    "goroutine": (("goroutine", "count"),),
    "threadcreate": (("threadcreate", "count"),),
    "heap": _MEMORY,
    "allocs": _MEMORY,
    "block": _CONTENTION,
    "mutex": _CONTENTION,
}
"""Type and unit of each value of a sample, by the name of the profile; the same as in Go's own profiles."""

GOROUTINES = "goroutine profile: total 1\n1 @ 0x1001\n#\t0x1000\tmain.main+0x0\t/nomad/main.go:1\n"
"""The goroutine profile for ``debug=1``."""

GOROUTINE_TRACES = "goroutine 1 [running]:\nmain.main()\n\t/nomad/main.go:1 +0x0\n"
"""The goroutine profile for ``debug=2``, in the format of a panic."""

EXECUTION_TRACE = b"".join(
    (
        b"go 1.22 trace\0\0\0",
        bytes((1, 1, 0, 1, 6)),  # EvEventBatch: generation 1, thread 0, timestamp 1, 6 bytes of events
        bytes((8, 0x80, 0x94, 0xEB, 0xDC, 0x03)),  # EvFrequency: 10**9 timestamps per second
    )
)
"""A trace with the clock frequency, which is mandatory, and no event."""


def encode_profile(name: str) -> bytes:
    """Return the profile ``name`` with a single sample: ``main.main``, each value 1."""
    types = SAMPLE_TYPES[name]
    strings = list(dict.fromkeys(("", "main.main", *(text for pair in types for text in pair))))
    value_types = [_integers({1: strings.index(type_), 2: strings.index(unit)}) for type_, unit in types]
    fields = (
        *(_block(1, value_type) for value_type in value_types),
        _block(2, _block(1, b"\x01") + _block(2, b"\x01" * len(types))),  # sample: locations, values
        _block(4, _integers({1: 1}) + _block(4, _integers({1: 1, 2: 1}))),  # location 1: line 1 of function 1
        _block(5, _integers({1: 1, 2: strings.index("main.main")})),  # function 1: name
        *(_block(6, text.encode()) for text in strings),
    )
    return gzip.compress(b"".join(fields), mtime=0)


def _integers(values: Mapping[int, int]) -> bytes:
    """Encode integers below 128 by field number."""
    return b"".join(bytes((field << 3, value)) for field, value in values.items())


def _block(field: int, content: bytes) -> bytes:
    """Encode a string, message or packed list of fewer than 128 bytes."""
    return bytes((field << 3 | 2, len(content))) + content
