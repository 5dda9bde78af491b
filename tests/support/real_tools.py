"""Programs that some tests need, such as Prometheus."""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(program: str) -> str:
    """Return the path of ``program``. If it is missing, skip the test, or fail it if REQUIRE_REAL_PARTS is set."""
    found = shutil.which(program)
    if found:
        return found
    if os.environ.get("REQUIRE_REAL_PARTS"):
        pytest.fail(f"{program} is not installed, and REQUIRE_REAL_PARTS is set")
    pytest.skip(f"{program} is not installed")
