"""The parts of an incident."""

from __future__ import annotations

from nomad_sim.incidents.scenario import Expectation, Role, Step


def test_reasons_omit_questions_without_expectation() -> None:
    assert Expectation((Role.CLIENT,), live="ok", quorum="not_a_voter").reasons == {
        "live": "ok",
        "quorum": "not_a_voter",
    }
    assert not Expectation((Role.CLIENT,)).reasons


def test_step_lasts_until_last_expectation_can_be_observed() -> None:
    early, late = Expectation((Role.CLIENT,), after=8.0), Expectation((Role.LEADER,), after=50.0)

    assert Step("A step.", (), (late, early)).duration == 60.0
    assert Step("A step.").duration == 10.0
