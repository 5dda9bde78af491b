"""``health``: the same JSON under status 200 and 500; an answer without any check is rejected."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.lenient import ERRORS
from nomad_exporter.nomad.models import Check, HealthAnswer, Role
from nomad_exporter.nomad.sources import HEALTH, Reply
from nomad_exporter.nomad.sources.health import MESSAGE_LIMIT, encode
from tests.support.answers import HEALTHY, recorded
from tests.support.recordings import situations

RECORDED = [s.name for s in situations() if (answer := s.answers.get(HEALTH.path)) and answer.status is not None]


def decode(status: int, body: bytes) -> HealthAnswer:
    """Return the answer in one reply, which is the same with and without ``?stale``."""
    health = HEALTH.decode(Reply(status, body))
    assert health.plain == health.stale
    return health.plain


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("2.0.5/healthy/s1-follower", HealthAnswer(200, {Role.SERVER: HEALTHY}), id="server"),
        pytest.param("2.0.5/healthy/c1-client", HealthAnswer(200, {Role.CLIENT: HEALTHY}), id="client"),
        pytest.param(
            "2.0.5/single/bacon-mac", HealthAnswer(200, {Role.CLIENT: HEALTHY, Role.SERVER: HEALTHY}), id="both roles"
        ),
        pytest.param(
            "2.0.5/no-leader/s3-follower",
            HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")}),
            id="server without a leader",
        ),
        pytest.param(
            "1.2.16/no-servers/c8-client",
            HealthAnswer(500, {Role.CLIENT: Check(ok=False, message="no known servers")}),
            id="client without servers",
        ),
    ],
)
def test_recorded_answer_is_decoded(name: str, answer: HealthAnswer) -> None:
    reply = recorded(name, HEALTH.path)

    assert decode(reply.status, reply.body) == answer


@pytest.mark.parametrize("name", RECORDED)
def test_encode_reproduces_recorded_body(name: str) -> None:
    reply = recorded(name, HEALTH.path)
    answer = decode(reply.status, reply.body)

    encoded = encode({str(role): check for role, check in answer.checks.items()})

    assert json.loads(encoded) == json.loads(reply.body)


def test_unhealthy_role_does_not_affect_other_role() -> None:
    body = b'{"client": {"ok": true, "message": "ok"}, "server": {"ok": false, "message": "no leader"}}'
    answer = decode(500, body)

    assert answer.checks == {Role.CLIENT: HEALTHY, Role.SERVER: Check(ok=False, message="no leader")}


def test_check_without_message_is_decoded() -> None:
    answer = decode(200, b'{"server": {"ok": true}}')

    assert answer.checks == {Role.SERVER: Check(ok=True, message="")}


def test_null_role_is_ignored() -> None:
    answer = decode(200, b'{"client": null, "server": {"ok": true, "message": "ok"}}')

    assert answer.checks == {Role.SERVER: HEALTHY}


def test_unknown_fields_are_ignored() -> None:
    answer = decode(200, b'{"server": {"ok": true, "message": "ok", "since": 7}, "proxy": {"ok": false}}')

    assert answer.checks == {Role.SERVER: HEALTHY}


def test_long_message_is_truncated() -> None:
    answer = decode(500, json.dumps({"server": {"ok": False, "message": "é" * 10_000}}).encode())

    assert answer.checks[Role.SERVER].message == "é" * MESSAGE_LIMIT


def test_answer_without_checks_is_rejected() -> None:
    with pytest.raises(ValueError, match="no health check of a server or a client"):
        decode(200, b"{}")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"ok", id="plain text"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"server": true}', id="role is not a check"),
        pytest.param(b'{"server": {"message": "ok"}}', id="check without ok"),
        pytest.param(b'{"server": {"ok": "true", "message": "ok"}}', id="ok is a text"),
        pytest.param(b'{"server": {"ok": 1, "message": "ok"}}', id="ok is a number"),
        pytest.param(b'{"server": {"ok": true, "message": 7}}', id="message is a number"),
        pytest.param(b'{"server": {"ok": true, "message": "\xff"}}', id="message is not UTF-8"),
        pytest.param(b'{"server": {"ok": true}} {}', id="data after the end"),
        pytest.param(b'{"server": {"ok": true}, "more": ' + b"[" * 100_000, id="deeply nested"),
    ],
)
def test_body_of_another_form_is_rejected(body: bytes) -> None:
    with pytest.raises(ERRORS):
        decode(200, body)


CHECKS = st.dictionaries(st.sampled_from(Role), st.builds(Check, st.booleans(), st.text(max_size=500)), min_size=1)


@given(checks=CHECKS)
@settings(deadline=None)
def test_encoded_checks_are_decoded_again(checks: dict[Role, Check]) -> None:
    body = encode({str(role): check for role, check in checks.items()})

    assert decode(200, body).checks == checks
