"""``health``: the same JSON under 200 and 500, and nothing that judges no role."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import decode_health
from nomad_exporter.nomad.lenient import ERRORS
from nomad_exporter.nomad.models import Check, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH_PATH
from tests.support.answers import WELL, recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (told := s.answers.get(HEALTH_PATH)) and told.status is not None]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("2.0.5/healthy/s1-follower", HealthAnswer(200, {Role.SERVER: WELL}), id="a server"),
        pytest.param("2.0.5/healthy/c1-client", HealthAnswer(200, {Role.CLIENT: WELL}), id="a client"),
        pytest.param(
            "2.0.5/single/bacon-mac", HealthAnswer(200, {Role.CLIENT: WELL, Role.SERVER: WELL}), id="both roles"
        ),
        pytest.param(
            "2.0.5/no-leader/s3-follower",
            HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")}),
            id="a server without a leader",
        ),
        pytest.param(
            "1.2.16/no-servers/c8-client",
            HealthAnswer(500, {Role.CLIENT: Check(ok=False, message="no known servers")}),
            id="a client without servers",
        ),
    ],
)
def test_a_recorded_answer_is_read(name: str, answer: HealthAnswer) -> None:
    reply = recorded(name, HEALTH_PATH)

    assert decode_health.decode(reply.status, reply.body) == answer


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_told_again_is_what_nomad_told(name: str) -> None:
    reply = recorded(name, HEALTH_PATH)
    answer = decode_health.decode(reply.status, reply.body)

    told_again = decode_health.encode({str(role): check for role, check in answer.checks.items()})

    assert json.loads(told_again) == json.loads(reply.body)


def test_one_red_role_leaves_the_other_as_it_is() -> None:
    body = b'{"client": {"ok": true, "message": "ok"}, "server": {"ok": false, "message": "no leader"}}'
    answer = decode_health.decode(500, body)

    assert answer.checks == {Role.CLIENT: WELL, Role.SERVER: Check(ok=False, message="no leader")}


def test_a_check_without_a_message_is_a_check() -> None:
    answer = decode_health.decode(200, b'{"server": {"ok": true}}')

    assert answer.checks == {Role.SERVER: Check(ok=True, message="")}


def test_a_role_that_is_null_is_not_judged() -> None:
    answer = decode_health.decode(200, b'{"client": null, "server": {"ok": true, "message": "ok"}}')

    assert answer.checks == {Role.SERVER: WELL}


def test_what_a_later_nomad_adds_is_passed_over() -> None:
    answer = decode_health.decode(200, b'{"server": {"ok": true, "message": "ok", "since": 7}, "proxy": {"ok": false}}')

    assert answer.checks == {Role.SERVER: WELL}


def test_the_rest_of_a_long_message_is_cut_off() -> None:
    answer = decode_health.decode(500, json.dumps({"server": {"ok": False, "message": "é" * 10_000}}).encode())

    assert answer.checks[Role.SERVER].message == "é" * decode_health.MESSAGE_LIMIT


def test_an_answer_that_judges_nobody_is_no_health() -> None:
    with pytest.raises(ValueError, match="judges neither a server nor a client"):
        decode_health.decode(200, b"{}")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"ok", id="a word"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"server": true}', id="a role that is no check"),
        pytest.param(b'{"server": {"message": "ok"}}', id="a check without a verdict"),
        pytest.param(b'{"server": {"ok": "true", "message": "ok"}}', id="a verdict in quotes"),
        pytest.param(b'{"server": {"ok": 1, "message": "ok"}}', id="a verdict as a number"),
        pytest.param(b'{"server": {"ok": true, "message": 7}}', id="a message that is no text"),
        pytest.param(b'{"server": {"ok": true, "message": "\xff"}}', id="a message that is no UTF-8"),
        pytest.param(b'{"server": {"ok": true}} {}', id="more after the end"),
        pytest.param(b'{"server": {"ok": true}, "more": ' + b"[" * 100_000, id="a deep nest"),
    ],
)
def test_a_body_of_another_form_is_refused_and_never_guessed_at(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode_health.decode(200, body)


CHECKS = st.dictionaries(st.sampled_from(Role), st.builds(Check, st.booleans(), st.text(max_size=500)), min_size=1)


@given(checks=CHECKS)
@settings(deadline=None)
def test_what_is_written_as_nomad_writes_it_is_read_back(checks: dict[Role, Check]) -> None:
    body = decode_health.encode({str(role): check for role, check in checks.items()})

    assert decode_health.decode(200, body).checks == checks
