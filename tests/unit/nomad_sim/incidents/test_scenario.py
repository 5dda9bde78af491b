"""Stories as values."""

from __future__ import annotations

from nomad_sim.incidents.scenario import Expectation, Role, Step


def test_only_the_questions_that_are_spoken_of_have_reasons() -> None:
    assert Expectation((Role.CLIENT,), live="ok", quorum="not_a_voter").reasons == {
        "live": "ok",
        "quorum": "not_a_voter",
    }
    assert not Expectation((Role.CLIENT,)).reasons


def test_a_scene_lasts_until_all_of_it_can_be_seen_and_some_seconds_more() -> None:
    early, late = Expectation((Role.CLIENT,), after=8.0), Expectation((Role.LEADER,), after=50.0)

    assert Step("It is.", (), (late, early)).duration == 60.0
    assert Step("It is.").duration == 10.0
