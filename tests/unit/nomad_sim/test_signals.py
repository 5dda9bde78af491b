"""A coroutine that signals cancel, in a process of its own, because only a main thread receives signals."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from tests.support.waiting import PATIENCE

COROUTINE = """
import asyncio, signal, sys
from nomad_sim.signals import run

async def main(ends_with):
    try:
        print("begun", flush=True)
        if ends_with == "a fault":
            raise ValueError("at once")
        if ends_with == "a line":
            print(await asyncio.to_thread(sys.stdin.readline), end="", flush=True)
        if ends_with == "a signal":
            await asyncio.Event().wait()
    finally:
        print("cleaning", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print("clean", flush=True)

if sys.argv[1] == "a line":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
try:
    run(main(sys.argv[1]))
except ValueError as error:
    print(error)
print("over", flush=True)
"""


@contextlib.contextmanager
def running(ends_with: str = "a signal") -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """The process of ``COROUTINE`` once that has begun, what it prints, and what it is told to go on cleaning."""
    command = [sys.executable, "-c", COROUTINE, ends_with]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        yield process, process.stdout, process.stdin
        process.kill()


STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", STOPS, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_cancels_what_runs_and_the_program_goes_on(number: signal.Signals) -> None:
    with running() as (process, output, told):
        process.send_signal(number)
        told.close()

        assert output.read().splitlines() == ["cleaning", "clean", "over"]
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", STOPS, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_second_signal_does_not_disturb_the_cleaning(number: signal.Signals) -> None:
    with running() as (process, output, told):
        process.send_signal(signal.SIGTERM)
        assert output.readline() == "cleaning\n"
        process.send_signal(number)
        told.close()

        assert output.read().splitlines() == ["clean", "over"]


def test_what_runs_can_end_by_itself() -> None:
    with running("itself") as (_, output, told):
        told.close()

        assert output.read().splitlines() == ["cleaning", "clean", "over"]


def test_what_it_raises_is_raised() -> None:
    with running("a fault") as (_, output, told):
        told.close()

        assert output.read().splitlines() == ["cleaning", "clean", "at once", "over"]


def test_a_hang_up_that_was_ignored_still_is() -> None:
    with running("a line") as (process, output, told):
        process.send_signal(signal.SIGHUP)
        told.write("heard\n")
        told.close()

        assert output.read().splitlines() == ["heard", "cleaning", "clean", "over"]
