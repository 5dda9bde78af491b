"""Real programs that some tests need, such as Prometheus."""

from __future__ import annotations

import os
import shutil

import pytest


def real(program: str) -> str:
    """The path of ``program``; without it the test is skipped, or fails where REQUIRE_REAL_PARTS is set, as in CI."""
    found = shutil.which(program)
    if found:
        return found
    if os.environ.get("REQUIRE_REAL_PARTS"):
        pytest.fail(f"{program} is not installed, and REQUIRE_REAL_PARTS is set")
    pytest.skip(f"{program} is not installed")
