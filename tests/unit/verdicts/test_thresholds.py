"""What the verdicts are measured by."""

from __future__ import annotations

import pytest

from nomad_exporter.polling.schedule import MAX_BACKOFF_SECONDS
from nomad_exporter.verdicts.verdict import Thresholds


@pytest.mark.parametrize(("interval", "proof", "fresh", "stall"), [(5.0, 10.0, 15.0, 45.0), (1.0, 2.0, 3.0, 33.0)])
def test_the_ages_are_counted_in_health_intervals(interval: float, proof: float, fresh: float, stall: float) -> None:
    thresholds = Thresholds(health_interval=interval)

    assert (thresholds.max_evidence_age, thresholds.max_health_age, thresholds.stall_timeout) == (proof, fresh, stall)


@pytest.mark.parametrize("interval", [0.1, 1.0, 5.0, 20.0, 600.0])
def test_an_agent_that_hangs_is_asked_before_the_exporter_counts_as_stalled(interval: float) -> None:
    timeout = min(4.0, 0.8 * interval)

    assert Thresholds(health_interval=interval).stall_timeout > max(MAX_BACKOFF_SECONDS, interval) + timeout
