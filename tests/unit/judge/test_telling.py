"""A verdict as machines read it."""

from __future__ import annotations

import json

import pytest

from nomad_exporter.judge.facts import ages, facts
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.telling import Told, as_object, tell, together
from tests.support.fleets import AT, client, cluster, judged, red

FLEET = {**cluster(3), "s2": red(cluster(3)["s2"]), "c1": client()}
JUDGED = judged(FLEET)
NO = Told("s2", holds=False, reason=Reason.NO_LEADER, sentence="No leader.", numbers={"voters": 3}, ages={"self": 0.12})


@pytest.mark.parametrize("question", Question)
@pytest.mark.parametrize("name", FLEET)
def test_what_is_told_is_the_verdict_and_what_it_rests_on(name: str, question: Question) -> None:
    each, told = JUDGED[name], tell(JUDGED[name], question, AT)
    verdict = each.verdicts[question]

    assert (told.agent, told.holds) == (name, verdict.holds)
    assert (told.reason, told.sentence) == (verdict.reason, verdict.sentence)
    assert (told.numbers, told.ages) == (facts(each, question), ages(each, question, AT))


def test_the_object_has_a_name_for_each_part_and_ages_to_the_millisecond() -> None:
    told = Told("s1", holds=True, reason=Reason.OK, sentence="Well.", numbers={"voters": 3}, ages={"self": 0.12345})

    assert json.loads(json.dumps(as_object(told))) == {
        "holds": True,
        "agent": "s1",
        "reason": "ok",
        "sentence": "Well.",
        "numbers": {"voters": 3},
        "ages": {"self": 0.123},
    }


def test_several_hold_only_together_and_the_first_that_does_not_is_named() -> None:
    assert together(3, 3, None) == {"holds": True, "reason": "ok", "sentence": "3 of 3 agents: yes."}
    assert together(3, 1, NO) == {
        "holds": False,
        "reason": "no_leader",
        "sentence": "1 of 3 agents: yes. s2: No leader.",
    }
