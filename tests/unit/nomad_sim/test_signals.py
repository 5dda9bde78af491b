"""A coroutine that signals cancel, in its own process, because only a main thread receives signals."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow  # Real processes.

COROUTINE = """
import asyncio, signal, sys
from nomad_sim.signals import run

async def main(ends_with):
    try:
        print("started", flush=True)
        if ends_with == "an error":
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
    """Run ``COROUTINE`` in a process; yield the process, its stdout, and its input, whose end ends the cleanup."""
    command = [sys.executable, "-c", COROUTINE, ends_with]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        yield process, process.stdout, process.stdin
        process.kill()


STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", STOPS, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_signal_cancels_coroutine_and_program_continues(number: signal.Signals) -> None:
    with running() as (process, stdout, stdin):
        process.send_signal(number)
        stdin.close()

        assert stdout.read().splitlines() == ["cleaning", "clean", "over"]
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", STOPS, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_second_signal_does_not_disturb_cleanup(number: signal.Signals) -> None:
    with running() as (process, stdout, stdin):
        process.send_signal(signal.SIGTERM)
        assert stdout.readline() == "cleaning\n"
        process.send_signal(number)
        stdin.close()

        assert stdout.read().splitlines() == ["clean", "over"]


def test_coroutine_can_end_by_itself() -> None:
    with running("itself") as (_, stdout, stdin):
        stdin.close()

        assert stdout.read().splitlines() == ["cleaning", "clean", "over"]


def test_exception_is_raised() -> None:
    with running("an error") as (_, stdout, stdin):
        stdin.close()

        assert stdout.read().splitlines() == ["cleaning", "clean", "at once", "over"]


def test_ignored_sighup_stays_ignored() -> None:
    with running("a line") as (process, stdout, stdin):
        process.send_signal(signal.SIGHUP)
        stdin.write("received\n")
        stdin.close()

        assert stdout.read().splitlines() == ["received", "cleaning", "clean", "over"]
