"""Instants: ages are counted on the clock that never steps."""

from __future__ import annotations

import time

from nomad_exporter.clock import Instant, now


def test_an_instant_moves_on_both_clocks() -> None:
    later = Instant(wall=100.0, monotonic=10.0) + 2.5

    assert later == Instant(wall=102.5, monotonic=12.5)


def test_an_age_does_not_notice_a_step_of_the_wall_clock() -> None:
    before = Instant(wall=100_000.0, monotonic=10.0)
    after_a_step_of_an_hour_back = Instant(wall=96_403.0, monotonic=13.0)

    assert after_a_step_of_an_hour_back.since(before) == 3.0


def test_an_instant_to_come_is_a_negative_time_ago() -> None:
    assert Instant(wall=0.0, monotonic=10.0).since(Instant(wall=0.0, monotonic=12.0)) == -2.0


def test_now_reads_both_clocks_of_the_system() -> None:
    wall, monotonic = time.time(), time.monotonic()

    present = now()

    assert wall <= present.wall <= time.time()
    assert monotonic <= present.monotonic <= time.monotonic()
