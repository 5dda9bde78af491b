"""The stacks of this process's own threads, in the place of the goroutines of an agent."""

from __future__ import annotations

import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from types import FrameType

from nomad_sim import go
from nomad_sim.api.profile import KINDS, Frame, Kind, Profile, Sample, Stack

_TAB_WIDTH = 8


def capture_stacks() -> tuple[Stack, ...]:
    """The stack of each thread of this process, that of the caller first."""
    frames = sys._current_frames()
    own = frames.pop(threading.get_ident())
    return tuple(_stack(frame) for frame in (own, *frames.values()))


def instant_profile(kind: Kind, stacks: Iterable[Stack], at: float) -> Profile:
    """The profile of one moment: how many threads have which stack; for ``goroutine`` and ``threadcreate``."""
    samples = tuple(Sample(stack, (count,)) for stack, count in Counter(stacks).most_common())
    return Profile(kind, samples, at, program=sys.executable)


def cpu_profile(captures: Iterable[tuple[Stack, ...]], every: float, at: float) -> Profile:
    """The ``cpu`` profile of what was seen in each look, one every so many seconds from the Unix time ``at`` on.

    A thread that waits is seen as well as one that works.
    """
    captures = tuple(captures)
    period = go.nanoseconds(every)
    counts = Counter(chain.from_iterable(captures)).most_common()
    samples = tuple(Sample(stack, (count, count * period)) for stack, count in counts)
    kind = replace(KINDS["cpu"], period=period)
    return Profile(kind, samples, at, every * len(captures), sys.executable)


def goroutine_text(stacks: Iterable[Stack]) -> str:
    """What ``goroutine?debug=1`` answers: each stack with the number of threads that have it, the most first."""
    counts = Counter(stacks)
    head = f"goroutine profile: total {counts.total()}\n"
    return head + "".join(f"{count} {_record(stack)}\n" for stack, count in counts.most_common())


def goroutine_traces(stacks: Iterable[Stack]) -> str:
    """What ``goroutine?debug=2`` answers: each thread on its own, as Go shows them in a panic.

    The first is the one that asks: it runs, the others wait for it.
    """
    return "\n".join(_trace(number, stack) for number, stack in enumerate(stacks, start=1))


def _stack(innermost: FrameType) -> Stack:
    frame: FrameType | None = innermost
    found = []
    while frame:
        found.append(_frame(frame))
        frame = frame.f_back
    return tuple(found)


def _frame(frame: FrameType) -> Frame:
    code = frame.f_code
    name = f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}"
    return Frame(name, code.co_filename, frame.f_lineno or code.co_firstlineno)


def _record(stack: Stack) -> str:
    # A stack holds the addresses to return to; the lines below it show the calls just before them.
    returns = "".join(f" {_address(frame) + 1:#x}" for frame in stack)
    addresses = _column([f"{_address(frame):#x}" for frame in stack])
    functions = _column([f"{frame.function}+{frame.line:#x}" for frame in stack])
    lines = (f"#\t{a}{f}{frame.file}:{frame.line}\n" for a, f, frame in zip(addresses, functions, stack, strict=True))
    return f"@{returns}\n{''.join(lines)}"


def _column(cells: list[str]) -> list[str]:
    """The cells with tabs behind them, up to the first tab stop that none of them reaches."""
    stop = max((len(cell) // _TAB_WIDTH for cell in cells), default=0) + 1
    return [cell + "\t" * (stop - len(cell) // _TAB_WIDTH) for cell in cells]


def _trace(number: int, stack: Stack) -> str:
    state = "running" if number == 1 else "waiting"
    frames = (f"{frame.function}(...)\n\t{frame.file}:{frame.line} +{frame.line:#x}\n" for frame in stack)
    return f"goroutine {number} [{state}]:\n{''.join(frames)}"


def _address(frame: Frame) -> int:
    """A number that stands for the place, as code in Python has no address: its line, counted from its function's."""
    return zlib.crc32(f"{frame.file}:{frame.function}".encode()) + frame.line
