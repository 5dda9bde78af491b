"""A verdict as machines read it."""

from __future__ import annotations

import json

import pytest

from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.report import Report, ages, build_report, details, summarize, to_dict
from tests.support.fleets import AT, client, cluster, evaluated, red

FLEET = {**cluster(3), "s2": red(cluster(3)["s2"]), "c1": client()}
JUDGED = evaluated(FLEET)
NO = Report(
    "s2", ok=False, reason=VerdictReason.NO_LEADER, message="No leader.", details={"voters": 3}, ages={"self": 0.12}
)


@pytest.mark.parametrize("question", Question)
@pytest.mark.parametrize("name", FLEET)
def test_what_is_told_is_the_verdict_and_what_it_rests_on(name: str, question: Question) -> None:
    each, told = JUDGED[name], build_report(JUDGED[name], question, AT)
    verdict = each.verdicts[question]

    assert (told.agent, told.ok) == (name, verdict.ok)
    assert (told.reason, told.message) == (verdict.reason, verdict.message)
    assert (told.details, told.ages) == (details(each, question), ages(each, question, AT))


def test_the_object_has_a_name_for_each_part_and_ages_to_the_millisecond() -> None:
    told = Report(
        "s1", ok=True, reason=VerdictReason.OK, message="Well.", details={"voters": 3}, ages={"self": 0.12345}
    )

    assert json.loads(json.dumps(to_dict(told))) == {
        "ok": True,
        "agent": "s1",
        "reason": "ok",
        "message": "Well.",
        "details": {"voters": 3},
        "ages": {"self": 0.123},
    }


def test_several_hold_only_together_and_the_first_that_does_not_is_named() -> None:
    assert summarize(3, 3, None) == {"ok": True, "reason": "ok", "message": "3 of 3 agents: yes."}
    assert summarize(3, 1, NO) == {
        "ok": False,
        "reason": "no_leader",
        "message": "1 of 3 agents: yes. s2: No leader.",
    }
