"""What the verdicts are measured by."""

from __future__ import annotations

import pytest

from nomad_exporter.judge.limits import Limits
from nomad_exporter.watch.schedule import SICK_SECONDS


@pytest.mark.parametrize(("interval", "proof", "fresh", "stall"), [(5.0, 10.0, 15.0, 45.0), (1.0, 2.0, 3.0, 33.0)])
def test_the_ages_are_counted_in_health_intervals(interval: float, proof: float, fresh: float, stall: float) -> None:
    limits = Limits(health_interval=interval)

    assert (limits.proof, limits.fresh, limits.stall) == (proof, fresh, stall)


@pytest.mark.parametrize("interval", [0.1, 1.0, 5.0, 20.0, 600.0])
def test_an_agent_that_hangs_is_asked_before_the_exporter_counts_as_stalled(interval: float) -> None:
    timeout = min(4.0, 0.8 * interval)

    assert Limits(health_interval=interval).stall > max(SICK_SECONDS, interval) + timeout
