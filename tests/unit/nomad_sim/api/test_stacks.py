"""Stacks: this process's threads are seen where they are, and told in Go's forms."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nomad_sim.api.profile import KINDS, Frame, Sample, Stack
from nomad_sim.api.stacks import capture_stacks, cpu_profile, goroutine_text, goroutine_traces, instant_profile

WAIT = Frame("app.wait", "/app.py", 0x18)
SERVE = Frame("app.Server.serve", "/long/path/server.py", 300)
MAIN = Frame("main.<module>", "/main.py", 3)

WAITING: Stack = (WAIT, MAIN)
SERVING: Stack = (WAIT, SERVE, MAIN)


@contextmanager
def a_thread_that_waits() -> Iterator[None]:
    reached, leave = threading.Event(), threading.Event()

    def here_it_waits() -> None:
        reached.set()
        leave.wait(60)

    thread = threading.Thread(target=here_it_waits)
    thread.start()
    reached.wait(60)
    try:
        yield
    finally:
        leave.set()
        thread.join(60)


def names(stack: Stack) -> list[str]:
    return [frame.function.rpartition(".")[2] for frame in stack]


def test_first_stack_is_that_of_the_caller() -> None:
    first, *_ = capture_stacks()

    assert names(first)[:2] == ["capture_stacks", "test_first_stack_is_that_of_the_caller"]


def test_a_frame_has_the_module_the_file_and_the_line() -> None:
    (_, frame, *_), *_ = capture_stacks()

    assert frame.function == f"{__name__}.test_a_frame_has_the_module_the_file_and_the_line"
    assert frame.file == __file__
    assert frame.line == test_a_frame_has_the_module_the_file_and_the_line.__code__.co_firstlineno + 1


def test_another_thread_is_seen_where_it_is() -> None:
    with a_thread_that_waits():
        others = capture_stacks()[1:]

    assert len([stack for stack in others if "here_it_waits" in names(stack)]) == 1


def test_threads_of_one_stack_are_one_sample() -> None:
    profile = instant_profile(KINDS["goroutine"], [SERVING, WAITING, WAITING], at=5.0)

    assert profile.samples == (Sample(WAITING, (2,)), Sample(SERVING, (1,)))
    assert (profile.kind, profile.at, profile.duration, profile.program) == (
        KINDS["goroutine"],
        5.0,
        0.0,
        sys.executable,
    )


def test_a_stack_seen_often_took_so_many_periods() -> None:
    profile = cpu_profile([(WAITING, SERVING), (WAITING,), (WAITING, WAITING)], every=0.02, at=5.0)

    assert profile.samples == (Sample(WAITING, (4, 80_000_000)), Sample(SERVING, (1, 20_000_000)))
    assert profile.kind.measures == KINDS["cpu"].measures
    assert profile.kind.period == 20_000_000
    assert (profile.at, profile.duration) == (5.0, 0.06)


def test_nothing_seen_is_a_profile_without_samples() -> None:
    profile = cpu_profile([], every=0.01, at=5.0)

    assert (profile.samples, profile.duration) == ((), 0.0)


def test_looks_can_come_one_by_one() -> None:
    captures = [(WAITING,), (SERVING,)]

    assert cpu_profile(iter(captures), 0.01, 5.0) == cpu_profile(captures, 0.01, 5.0)


def test_the_text_counts_the_threads_of_each_stack_in_gos_form() -> None:
    head, total, first, second, blank, *rest = goroutine_text([SERVING, WAITING, WAITING]).split("\n")

    assert head == "goroutine profile: total 3"
    assert total.startswith("2 @ 0x")
    assert first.split("\t")[2:] == ["app.wait+0x18", "", "/app.py:24"]
    assert second.split("\t")[2:] == ["main.<module>+0x3", "/main.py:3"]
    assert blank == ""
    assert rest[0].startswith("1 @ 0x")
    assert rest[-2:] == ["", ""]


def test_the_columns_of_the_text_end_at_tab_stops() -> None:
    _, _, *places = goroutine_text([SERVING]).rstrip("\n").split("\n")
    rows = [place.expandtabs(8) for place in places]

    assert [row[8:].startswith("0x") for row in rows] == [True, True, True]
    assert [row[24:].split()[0] for row in rows] == ["app.wait+0x18", "app.Server.serve+0x12c", "main.<module>+0x3"]
    assert [row[48:] for row in rows] == ["/app.py:24", "/long/path/server.py:300", "/main.py:3"]


def test_a_place_has_the_same_address_in_every_stack_and_is_returned_to_just_behind_it() -> None:
    _, first, *_, last = goroutine_text([SERVING]).rstrip("\n").split("\n")
    address = int(last.split("\t")[1], 16)

    assert first.split()[-1] == f"{address + 1:#x}"
    assert f"#\t{address:#x}\t" in goroutine_text([WAITING])


def test_the_text_of_no_thread_is_its_head() -> None:
    assert goroutine_text([]) == "goroutine profile: total 0\n"


def test_the_traces_show_each_thread_and_which_one_asks() -> None:
    assert goroutine_traces([WAITING, SERVING]) == (
        "goroutine 1 [running]:\n"
        "app.wait(...)\n"
        "\t/app.py:24 +0x18\n"
        "main.<module>(...)\n"
        "\t/main.py:3 +0x3\n"
        "\n"
        "goroutine 2 [waiting]:\n"
        "app.wait(...)\n"
        "\t/app.py:24 +0x18\n"
        "app.Server.serve(...)\n"
        "\t/long/path/server.py:300 +0x12c\n"
        "main.<module>(...)\n"
        "\t/main.py:3 +0x3\n"
    )
