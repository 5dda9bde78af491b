"""The times of a cluster, and how they are made faster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_sim.model.timing import Timing

KEPT = {"latency", "reap_failed", "reap_left"}


@given(st.sampled_from(sorted(Timing.__slots__)), st.sampled_from([0.5, 2.0, 10.0]))
def test_a_faster_cluster_takes_less_time_for_everything_but_a_message_and_forgetting(name: str, pace: float) -> None:
    before, after = getattr(Timing(), name), getattr(Timing().at_pace(pace), name)
    times = 1 if name in KEPT else pace

    assert after == pytest.approx(tuple(end / times for end in before) if isinstance(before, tuple) else before / times)


def test_a_pace_of_one_changes_nothing() -> None:
    assert Timing().at_pace(1) == Timing()


def test_every_range_has_its_ends_in_order() -> None:
    ranges = [value for name in Timing.__slots__ if isinstance(value := getattr(Timing(), name), tuple)]

    assert ranges
    assert all(0 < start <= end for start, end in ranges)


def test_a_follower_waits_longer_than_several_heartbeats_and_messages_take() -> None:
    timing = Timing()

    assert timing.election_timeout[0] > 3 * (timing.heartbeat_interval[1] + timing.latency[1])
    assert timing.leader_lease_timeout > 2 * (timing.heartbeat_interval[1] + timing.latency[1])
