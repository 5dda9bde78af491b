"""Stories as values."""

from __future__ import annotations

from nomad_exporter.demo.incidents.story import Expected, Role, Scene


def test_only_the_questions_that_are_spoken_of_have_reasons() -> None:
    assert Expected((Role.CLIENT,), live="ok", quorum="not_a_voter").reasons == {"live": "ok", "quorum": "not_a_voter"}
    assert not Expected((Role.CLIENT,)).reasons


def test_a_scene_lasts_until_all_of_it_can_be_seen_and_some_seconds_more() -> None:
    early, late = Expected((Role.CLIENT,), after=8.0), Expected((Role.LEADER,), after=50.0)

    assert Scene("It is.", (), (late, early)).seconds == 60.0
    assert Scene("It is.").seconds == 10.0
