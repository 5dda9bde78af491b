"""The thresholds of the verdicts."""

from __future__ import annotations

import pytest

from nomad_exporter.polling.timetable import MAX_BACKOFF_SECONDS
from nomad_exporter.verdicts.verdict import Thresholds


@pytest.mark.parametrize(("interval", "evidence", "health", "stall"), [(5.0, 10.0, 15.0, 45.0), (1.0, 2.0, 3.0, 33.0)])
def test_ages_are_multiples_of_the_health_interval(
    interval: float, evidence: float, health: float, stall: float
) -> None:
    thresholds = Thresholds(health_interval=interval)

    assert (thresholds.max_evidence_age, thresholds.max_health_age, thresholds.stall_timeout) == (
        evidence,
        health,
        stall,
    )


@pytest.mark.parametrize("interval", [0.1, 1.0, 5.0, 20.0, 600.0])
def test_stall_timeout_exceeds_the_maximum_backoff(interval: float) -> None:
    timeout = min(4.0, 0.8 * interval)

    assert Thresholds(health_interval=interval).stall_timeout > max(MAX_BACKOFF_SECONDS, interval) + timeout
