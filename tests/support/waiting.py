"""Waiting for what happens soon, and no longer than a test can bear."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 20.0
"""The most seconds that a test waits for something that takes a fraction of one."""


def eventually(holds: Callable[[], object]) -> None:
    """Returns as soon as ``holds`` gives a true value; fails where it never does."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        pause.wait(0.02)
