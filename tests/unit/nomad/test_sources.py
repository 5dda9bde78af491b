"""Decoding of replies: the status and the body determine the answer or the failure, which never quotes the body."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad import sources
from nomad_exporter.nomad.decode_autopilot import SERVERS_LIMIT
from nomad_exporter.nomad.decode_members import MEMBERS_LIMIT
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Check, HealthAnswer, Members, Role
from nomad_exporter.nomad.sources import AUTOPILOT_PATH, HEALTH_PATH, MEMBERS_PATH, SELF_PATH, Reply
from tests.support.answers import recorded

Decode = Callable[[Reply], AgentSelf | Members | HealthAnswer | Autopilot | Failure]

DECODERS: dict[str, Decode] = {
    SELF_PATH: sources.agent_self,
    MEMBERS_PATH: sources.members,
    HEALTH_PATH: sources.health,
    AUTOPILOT_PATH: sources.autopilot,
}

every_source = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(SELF_PATH, AgentSelf), (MEMBERS_PATH, Members), (HEALTH_PATH, HealthAnswer), (AUTOPILOT_PATH, Autopilot)],
)
def test_recorded_reply_is_decoded(path: str, kind: type) -> None:
    assert isinstance(DECODERS[path](recorded("2.0.5/healthy/s2-leader", path)), kind)


def test_unhealthy_answer_with_status_500_is_decoded() -> None:
    answer = sources.health(recorded("2.0.5/no-leader/s3-follower", HEALTH_PATH))

    assert answer == HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})


@pytest.mark.parametrize(
    "name",
    ["2.0.5/autopilot-cleaned/s1-leader", "1.10.5/autopilot-cleaned/s1-leader", "1.2.16/autopilot-cleaned/s2-leader"],
)
def test_unhealthy_autopilot_with_status_429_is_decoded(name: str) -> None:
    reply = recorded(name, AUTOPILOT_PATH)
    answer = sources.autopilot(reply)

    assert reply.status == 429
    assert isinstance(answer, Autopilot)
    assert answer.healthy is False


def test_connection_limit_with_status_429_is_a_failure() -> None:
    failure = sources.autopilot(Reply(429, b"Your IP is issuing too many concurrent connections"))

    assert failure == Failure(FailureReason.STATUS, "HTTP 429", status=429)


def test_token_without_operator_read_is_unauthorized() -> None:
    failure = sources.autopilot(Reply(403, b"Permission denied"))

    assert failure == Failure(FailureReason.UNAUTHORIZED, f"HTTP 403: {REJECTED}")


REJECTED = "token rejected, or without permission"


@pytest.mark.parametrize(
    ("name", "path", "detail"),
    [
        pytest.param("2.0.5/acl/anonymous", SELF_PATH, f"HTTP 403: {REJECTED}", id="no token"),
        pytest.param("1.2.16/acl/unknown", SELF_PATH, f"HTTP 403: {REJECTED}", id="unknown token"),
        pytest.param("2.0.5/acl/malformed", SELF_PATH, f"HTTP 500: {REJECTED}", id="malformed token, since 1.11.1"),
        pytest.param("1.6.10/acl/malformed", SELF_PATH, f"HTTP 500: {REJECTED}", id="malformed token, before 1.11.1"),
        pytest.param("2.0.5/acl/agent-read", MEMBERS_PATH, f"HTTP 403: {REJECTED}", id="token without node:read"),
    ],
)
def test_recorded_token_rejection_is_unauthorized(name: str, path: str, detail: str) -> None:
    assert DECODERS[path](recorded(name, path)) == Failure(FailureReason.UNAUTHORIZED, detail)


def test_client_without_servers_is_a_status_failure() -> None:
    failure = sources.members(recorded("2.0.5/acl-servers-killed/c1-client", MEMBERS_PATH))

    assert failure == Failure(FailureReason.STATUS, "HTTP 500", status=500)


@every_source
@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        pytest.param(
            Reply(401, b"Unauthorized"), FailureReason.UNAUTHORIZED, f"HTTP 401: {REJECTED}", id="task API socket"
        ),
        pytest.param(
            Reply(500, b"failed to resolve ACL token: ACL token expired"),
            FailureReason.UNAUTHORIZED,
            f"HTTP 500: {REJECTED}",
            id="expired token",
        ),
        pytest.param(
            Reply(400, b"Client sent an HTTP request to an HTTPS server.\n"),
            FailureReason.TLS,
            "agent speaks HTTPS, but its address starts with http://",
            id="HTTP to HTTPS",
        ),
        pytest.param(Reply(400, b"bad request"), FailureReason.STATUS, "HTTP 400", id="any other 400"),
        pytest.param(
            Reply(307, b""),
            FailureReason.REDIRECT,
            "HTTP 307: redirects are not followed",
            id="web page of an old Nomad",
        ),
        pytest.param(
            Reply(300, b""), FailureReason.REDIRECT, "HTTP 300: redirects are not followed", id="multiple choices"
        ),
        pytest.param(Reply(404, b""), FailureReason.STATUS, "HTTP 404", id="not found"),
        pytest.param(
            Reply(429, b"Your IP is issuing too many"), FailureReason.STATUS, "HTTP 429", id="too many connections"
        ),
        pytest.param(Reply(500, b"no servers"), FailureReason.STATUS, "HTTP 500", id="client without servers"),
        pytest.param(Reply(501, b"Invalid method"), FailureReason.STATUS, "HTTP 501", id="role that the agent lacks"),
        pytest.param(Reply(204, b""), FailureReason.STATUS, "HTTP 204", id="no content"),
    ],
)
def test_status_determines_the_reason(decode: Decode, reply: Reply, reason: FailureReason, detail: str) -> None:
    assert decode(reply) == Failure(reason, detail, status=reply.status if reason is FailureReason.STATUS else 0)


@pytest.mark.parametrize("path", [SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH])
def test_only_health_is_decoded_with_status_500(path: str) -> None:
    body = recorded("2.0.5/healthy/s2-leader", path).body

    assert DECODERS[path](Reply(500, body)) == Failure(FailureReason.STATUS, "HTTP 500", status=500)


@every_source
def test_html_page_is_a_decode_failure(decode: Decode) -> None:
    failure = decode(Reply(200, b"<!doctype html><title>Nomad</title>"))

    assert failure == Failure(FailureReason.DECODE, "response is not the expected JSON")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        pytest.param(
            SELF_PATH,
            b'{"stats": {}}',
            "no stats of a server or a client",
            id="self without a role",
        ),
        pytest.param(HEALTH_PATH, b"{}", "no health check of a server or a client", id="health without a check"),
    ],
)
def test_incomplete_json_is_a_decode_failure(path: str, body: bytes, detail: str) -> None:
    assert DECODERS[path](Reply(200, body)) == Failure(FailureReason.DECODE, detail)


def test_more_members_than_limit_are_too_large() -> None:
    body = json.dumps({"Members": [{}] * (MEMBERS_LIMIT + 1)}).encode()

    assert sources.members(Reply(200, body)) == Failure(FailureReason.TOO_LARGE, f"more than {MEMBERS_LIMIT} members")


@pytest.mark.parametrize("status", [200, 429])
def test_more_servers_than_limit_are_too_large(status: int) -> None:
    body = json.dumps({"Healthy": True, "Servers": [{}] * (SERVERS_LIMIT + 1)}).encode()

    assert sources.autopilot(Reply(status, body)) == Failure(
        FailureReason.TOO_LARGE, f"more than {SERVERS_LIMIT} servers"
    )


SECRET = "5ecret00-70ce-4aaa-bbbb-0123456789ab"


@every_source
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"ACL token not found: {SECRET}", id="plain text"),
        pytest.param(f'{{"{SECRET}": 1, "stats": {{"{SECRET}": 1}}, "server": {{"{SECRET}": 1}}}}', id="keys"),
        pytest.param(f'{{"stats": "{SECRET}", "Members": "{SECRET}", "server": "{SECRET}"}}', id="values"),
        pytest.param(f'{{"stats": {{"nomad": "{SECRET}', id="truncated"),
        pytest.param(f'"{SECRET}\udcff"', id="not UTF-8"),
    ],
)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 500, 503])
def test_failure_never_quotes_the_body(decode: Decode, status: int, body: str) -> None:
    failure = decode(Reply(status, body.encode(errors="surrogateescape")))

    assert isinstance(failure, Failure)
    assert SECRET not in failure.detail


@every_source
@given(
    status=st.integers(min_value=100, max_value=599),
    body=st.binary()
    | st.sampled_from([b"{}", b"[]", b'{"server": {"ok": true}}', b'{"Members": []}', b'{"Healthy": true}']),
)
@settings(deadline=None)
def test_every_reply_is_an_answer_or_a_failure(decode: Decode, status: int, body: bytes) -> None:
    outcome = decode(Reply(status, body))

    assert isinstance(outcome, AgentSelf | Members | HealthAnswer | Autopilot | Failure)
    assert status in (200, 429, 500) or isinstance(outcome, Failure)
