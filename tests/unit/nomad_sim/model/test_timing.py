"""Tests of the intervals and timeouts, and of their pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.timing import Timing

UNSCALED = {"latency", "reap_failed", "reap_left"}


@given(st.sampled_from(sorted(Timing.__slots__)), st.sampled_from([0.5, 2.0, 10.0]))
def test_pace_divides_all_times_but_latency_and_reap_times(name: str, pace: float) -> None:
    before, after = getattr(Timing(), name), getattr(Timing().at_pace(pace), name)
    divisor = 1 if name in UNSCALED else pace

    assert after == pytest.approx(
        tuple(end / divisor for end in before) if isinstance(before, tuple) else before / divisor
    )


def test_pace_of_1_changes_nothing() -> None:
    assert Timing().at_pace(1) == Timing()


def test_every_range_has_ordered_bounds() -> None:
    ranges = [value for name in Timing.__slots__ if isinstance(value := getattr(Timing(), name), tuple)]

    assert ranges
    assert all(0 < start <= end for start, end in ranges)


def test_timeouts_exceed_several_heartbeats_and_latencies() -> None:
    timing = Timing()

    assert timing.election_timeout[0] > 3 * (timing.heartbeat_interval[1] + timing.latency[1])
    assert timing.leader_lease_timeout > 2 * (timing.heartbeat_interval[1] + timing.latency[1])
