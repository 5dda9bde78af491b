"""The fixture that all tests of the schedule share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.schedules import ScheduleRunner


@pytest.fixture
def runner() -> Iterator[ScheduleRunner]:
    """Yield a runner whose schedules are stopped at the end of the test."""
    runner = ScheduleRunner()
    yield runner
    runner.stop()
