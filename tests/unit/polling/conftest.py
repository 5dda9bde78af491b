"""What the tests of the schedule share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.schedules import Running


@pytest.fixture
def running() -> Iterator[Running]:
    """A schedule that ends with the test."""
    running = Running()
    yield running
    running.end()
