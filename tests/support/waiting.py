"""Waiting for a condition, with one timeout for all tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 20.0
"""The maximum seconds that a test waits for something that normally takes a fraction of a second."""


def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return as soon as ``condition`` is true; fail after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"condition not met within {patience:g}s"
        pause.wait(0.02)
