"""Profiles as ``go tool pprof`` opens them: the protobuf of its ``profile.proto``, gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from nomad_sim import go

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in the code."""

    function: str
    file: str
    line: int


Stack = tuple[Frame, ...]
"""Where a thread is: the innermost frame first, then its callers."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured, and in what unit."""

    type: str
    unit: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What the values of each sample mean, and how much of what lies between two samples."""

    measures: tuple[Measure, ...]
    period_measure: Measure
    period: int = 1
    default: str = ""
    """The type of the measure to be shown first; else it is the last one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A stack, and a value for each measure of the kind."""

    stack: Stack
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """``at`` is the Unix time of its beginning; ``duration`` is in seconds, 0 for what tells one moment.

    ``program`` is the path of what ran.
    """

    kind: Kind
    samples: tuple[Sample, ...] = ()
    at: float = 0.0
    duration: float = 0.0
    program: str = ""


def _count_kind(name: str) -> Kind:
    return Kind((Measure(name, "count"),), Measure(name, "count"))


_CPU = Measure("cpu", "nanoseconds")
_CONTENTIONS = Measure("contentions", "count")
_CONTENTION = Kind((_CONTENTIONS, Measure("delay", "nanoseconds")), _CONTENTIONS)
_MEMORY = tuple(
    Measure(f"{when}_{what}", unit)
    for when in ("alloc", "inuse")
    for what, unit in (("objects", "count"), ("space", "bytes"))
)
_SPACE = Measure("space", "bytes")

KINDS: Mapping[str, Kind] = {
    "cpu": Kind((Measure("samples", "count"), _CPU), _CPU, 10_000_000),
    "goroutine": _count_kind("goroutine"),
    "threadcreate": _count_kind("threadcreate"),
    "heap": Kind(_MEMORY, _SPACE, 512 * 1024),
    "allocs": Kind(_MEMORY, _SPACE, 512 * 1024, default="alloc_space"),
    "block": _CONTENTION,
    "mutex": _CONTENTION,
}
"""By the names of Go's own profiles, with Go's own measures; ``cpu`` is what ``profile`` answers."""


def encode_profile(profile: Profile) -> bytes:
    """The profile as a file; the same profile gives the same bytes."""
    return gzip.compress(b"".join(_fields(profile)), mtime=0)


def _fields(profile: Profile) -> Iterator[bytes]:
    """The fields of the message Profile; its parts refer to one another, and to texts, by number."""
    kind = profile.kind
    frames = _assign_ids(chain.from_iterable(sample.stack for sample in profile.samples), start=1)
    functions = _assign_ids(((frame.function, frame.file) for frame in frames), start=1)
    measures = [(measure.type, measure.unit) for measure in (*kind.measures, kind.period_measure)]
    texts = _assign_ids(chain(["", kind.default, profile.program], *measures, *functions), start=0)

    yield from (_encode_block(1, _encode_numbers({1: texts[m.type], 2: texts[m.unit]})) for m in kind.measures)
    for sample in profile.samples:
        yield _encode_block(
            2, _encode_packed(1, (frames[frame] for frame in sample.stack)) + _encode_packed(2, sample.values)
        )
    # The three flags say that functions, files and lines are known, and need not be looked for in the program.
    yield _encode_block(3, _encode_numbers({1: 1, 5: texts[profile.program], 7: 1, 8: 1, 9: 1}))
    for frame, number in frames.items():
        line = _encode_numbers({1: functions[frame.function, frame.file], 2: frame.line})
        yield _encode_block(4, _encode_numbers({1: number, 2: 1}) + _encode_block(4, line))
    for (name, file), number in functions.items():
        yield _encode_block(5, _encode_numbers({1: number, 2: texts[name], 3: texts[name], 4: texts[file]}))
    yield from (_encode_block(6, text.encode()) for text in texts)
    yield _encode_numbers({9: go.nanoseconds(profile.at), 10: go.nanoseconds(profile.duration)})
    yield _encode_block(11, _encode_numbers({1: texts[kind.period_measure.type], 2: texts[kind.period_measure.unit]}))
    yield _encode_numbers({12: kind.period, 14: texts[kind.default]})


def _assign_ids(items: Iterable[T], start: int) -> dict[T, int]:
    """Each item once, in the order in which they come, with its number."""
    return {item: number for number, item in enumerate(dict.fromkeys(items), start)}


def _encode_varint(number: int) -> bytes:
    """Seven bits to a byte, the lowest first; the eighth says that more follow."""
    head = b""
    while number > 0x7F:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def _encode_numbers(values: Mapping[int, int]) -> bytes:
    """Fields that are numbers; what is 0 is left out."""
    return b"".join(_encode_varint(field << 3) + _encode_varint(value) for field, value in values.items() if value)


def _encode_block(field: int, content: bytes) -> bytes:
    """A field that is a text, a message or a packed list."""
    return _encode_varint(field << 3 | 2) + _encode_varint(len(content)) + content


def _encode_packed(field: int, values: Iterable[int]) -> bytes:
    return _encode_block(field, b"".join(map(_encode_varint, values)))
