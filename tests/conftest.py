"""What holds for all tests: the examples of hypothesis, the signals of child processes, and the order."""

from __future__ import annotations

import gc
import signal
from pathlib import Path

import pytest

from tests.support import profiles

UNIT_TESTS = Path(__file__).parent / "unit"

STOP_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def pytest_configure() -> None:
    handle_ignored_signals()


def handle_ignored_signals() -> None:
    """Replace SIG_IGN by a handler that does nothing, and unblock the signals.

    A child process inherits SIG_IGN, which nohup sets for SIGHUP and a shell for SIGINT in the background, but never a
    handler. It also inherits the mask.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slow tests, so that no worker waits for one at the end. A signal ends pure tests that hang."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.path.is_relative_to(UNIT_TESTS) and not item.get_closest_marker("slow"):
            # They have no cleanup that could hang, and a thread for each test would take longer than most of them.
            item.add_marker(pytest.mark.timeout(method="signal"))


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collections, which would otherwise take 0.2 s each."""
    gc.collect()
    gc.freeze()


profiles.register()
