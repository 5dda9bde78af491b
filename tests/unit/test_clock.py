"""Instants: ages are measured on the monotonic clock."""

from __future__ import annotations

import time

from nomad_exporter.clock import Instant, now


def test_adding_seconds_moves_both_clocks() -> None:
    later = Instant(wall=100.0, monotonic=10.0) + 2.5

    assert later == Instant(wall=102.5, monotonic=12.5)


def test_age_ignores_step_of_wall_clock() -> None:
    before = Instant(wall=100_000.0, monotonic=10.0)
    after_step_back = Instant(wall=96_403.0, monotonic=13.0)

    assert after_step_back.since(before) == 3.0


def test_age_of_future_instant_is_negative() -> None:
    assert Instant(wall=0.0, monotonic=10.0).since(Instant(wall=0.0, monotonic=12.0)) == -2.0


def test_now_reads_both_system_clocks() -> None:
    wall, monotonic = time.time(), time.monotonic()

    present = now()

    assert wall <= present.wall <= time.time()
    assert monotonic <= present.monotonic <= time.monotonic()
