"""What holds for all tests: the examples of hypothesis, the signals of child processes, and the order."""

from __future__ import annotations

import gc
import signal

import pytest

from tests.support import profiles

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
    """Start with the slow tests, so that no worker waits for one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collections, which would otherwise take 0.2 s each."""
    gc.collect()
    gc.freeze()


profiles.register()
