"""Sources: their values, and the decoding of replies to an answer or a failure, which never quotes the body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Autopilot, Check, Health, HealthAnswer, Members, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Reply, Source, enabled_sources
from nomad_exporter.nomad.sources.autopilot import SERVERS_LIMIT
from nomad_exporter.nomad.sources.members import LISTED_LIMIT
from tests.support.answers import REFUSED, FakeClock, recorded
from tests.support.recordings import situations

every_source = pytest.mark.parametrize("source", SOURCES, ids=str)


def test_names_are_label_values() -> None:
    assert [source.name for source in (HEALTH, SELF, MEMBERS, AUTOPILOT)] == ["health", "self", "members", "autopilot"]


@every_source
def test_name_and_path_are_unique(source: Source[Any]) -> None:
    assert [other for other in SOURCES if other.name == source.name or other.path == source.path] == [source]


def test_optional_source_must_be_enabled() -> None:
    assert enabled_sources(autopilot=True) == SOURCES
    assert enabled_sources(autopilot=False) == tuple(source for source in SOURCES if source is not AUTOPILOT)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        pytest.param((), [True, False], id="unknown role"),
        pytest.param((Role.CLIENT,), [True, False], id="client"),
        pytest.param((Role.SERVER,), [True, True], id="server"),
        pytest.param((Role.CLIENT, Role.SERVER), [True, True], id="both roles"),
    ],
)
def test_source_applies_to_agents_with_its_role(roles: tuple[Role, ...], expected: list[bool]) -> None:
    assert [source.applies_to(roles) for source in (SELF, MEMBERS)] == expected


@every_source
def test_poll_is_sent_with_the_timeout_and_the_body_limit(source: Source[Any]) -> None:
    sent: list[tuple[str, float, int]] = []

    def send(path: str, seconds: float, body_limit: int) -> Failure:
        sent.append((path.partition("?")[0], seconds, body_limit))
        return REFUSED

    assert source.poll(send, FakeClock(), 4.0) == REFUSED
    assert sent == [(source.path, 4.0, source.body_limit)]


@pytest.mark.parametrize(
    ("source", "kind"), [(SELF, AgentSelf), (MEMBERS, Members), (HEALTH, Health), (AUTOPILOT, Autopilot)], ids=str
)
def test_recorded_reply_is_decoded(source: Source[Any], kind: type) -> None:
    assert isinstance(source.read(recorded("2.0.5/healthy/s2-leader", source.path)), kind)


def test_unhealthy_answer_with_status_500_is_decoded() -> None:
    health = HEALTH.read(recorded("2.0.5/no-leader/s3-follower", HEALTH.path))

    answer = HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})
    assert health == Health(plain=answer, stale=answer, leader_reachable=False)


@pytest.mark.parametrize(
    "name",
    ["2.0.5/autopilot-cleaned/s1-leader", "1.10.5/autopilot-cleaned/s1-leader", "1.2.16/autopilot-cleaned/s2-leader"],
)
def test_unhealthy_autopilot_with_status_429_is_decoded(name: str) -> None:
    reply = recorded(name, AUTOPILOT.path)
    answer = AUTOPILOT.read(reply)

    assert reply.status == 429
    assert isinstance(answer, Autopilot)
    assert answer.healthy is False


def test_connection_limit_with_status_429_is_a_failure() -> None:
    failure = AUTOPILOT.read(Reply(429, b"Your IP is issuing too many concurrent connections"))

    assert failure == Failure(FailureReason.STATUS, "HTTP 429", status=429)


def test_token_without_operator_read_is_unauthorized() -> None:
    failure = AUTOPILOT.read(Reply(403, b"Permission denied"))

    assert failure == Failure(FailureReason.UNAUTHORIZED, f"HTTP 403: {REJECTED}")


REJECTED = "token rejected, or without permission"


@pytest.mark.parametrize(
    ("name", "source", "detail"),
    [
        pytest.param("2.0.5/acl/anonymous", SELF, f"HTTP 403: {REJECTED}", id="no token"),
        pytest.param("1.2.16/acl/unknown", SELF, f"HTTP 403: {REJECTED}", id="unknown token"),
        pytest.param("2.0.5/acl/malformed", SELF, f"HTTP 500: {REJECTED}", id="malformed token, since 1.11.1"),
        pytest.param("1.6.10/acl/malformed", SELF, f"HTTP 500: {REJECTED}", id="malformed token, before 1.11.1"),
        pytest.param("2.0.5/acl/agent-read", MEMBERS, f"HTTP 403: {REJECTED}", id="token without node:read"),
    ],
)
def test_recorded_token_rejection_is_unauthorized(name: str, source: Source[Any], detail: str) -> None:
    assert source.read(recorded(name, source.path)) == Failure(FailureReason.UNAUTHORIZED, detail)


def test_client_without_servers_is_a_status_failure() -> None:
    failure = MEMBERS.read(recorded("2.0.5/acl-servers-killed/c1-client", MEMBERS.path))

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
def test_status_determines_the_reason(source: Source[Any], reply: Reply, reason: FailureReason, detail: str) -> None:
    assert source.read(reply) == Failure(reason, detail, status=reply.status if reason is FailureReason.STATUS else 0)


# Gateways.

gateway_status = pytest.mark.parametrize("status", [502, 503, 504])


@every_source
@gateway_status
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html><h1>502 Bad Gateway</h1><center>nginx</center></html>", id="nginx"),
        pytest.param(b"upstream connect error or disconnect/reset before headers", id="Envoy"),
        pytest.param(b"no healthy upstream", id="Envoy without a backend"),
        pytest.param(b"Bad Gateway", id="Traefik"),
        pytest.param(b"", id="Caddy"),
        pytest.param(b'{"message":"failure to get a peer from the ring-balancer"}', id="Kong"),
    ],
)
def test_response_of_a_gateway_is_not_of_nomad(source: Source[Any], status: int, body: bytes) -> None:
    failure = source.read(Reply(status, body))

    assert failure == Failure(FailureReason.GATEWAY, f"HTTP {status}, not from Nomad", status=status)


@every_source
@gateway_status
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"No cluster leader", id="no leader"),
        pytest.param(b"rpc error: failed to get conn: dial tcp 10.0.0.1:4647: connect: connection refused", id="rpc"),
        pytest.param(b"No path to region", id="region"),
        pytest.param(b'{"server": {"ok": true, "message": "ok"}}', id="health check"),
    ],
)
def test_response_of_nomad_under_another_status_is_a_response(source: Source[Any], status: int, body: bytes) -> None:
    assert source.read(Reply(status, body)) == Failure(FailureReason.STATUS, f"HTTP {status}", status=status)


@gateway_status
def test_recorded_error_under_another_status_is_a_response(status: int) -> None:
    errors = {
        recorded.body
        for situation in situations()
        for recorded in situation.answers.values()
        if recorded.status and recorded.status >= 400 and recorded.status != 429 and recorded.body
    }
    reasons = {body: _reason(HEALTH.read(Reply(status, body))) for body in errors}

    assert len(errors) > 5
    assert {body for body, reason in reasons.items() if reason is FailureReason.GATEWAY} == set()


def _reason(outcome: object) -> FailureReason | None:
    return outcome.reason if isinstance(outcome, Failure) else None


@pytest.mark.parametrize("source", [SELF, MEMBERS, AUTOPILOT], ids=str)
def test_only_health_is_decoded_with_status_500(source: Source[Any]) -> None:
    body = recorded("2.0.5/healthy/s2-leader", source.path).body

    assert source.read(Reply(500, body)) == Failure(FailureReason.STATUS, "HTTP 500", status=500)


@every_source
def test_html_page_is_a_decode_failure(source: Source[Any]) -> None:
    failure = source.read(Reply(200, b"<!doctype html><title>Nomad</title>"))

    assert failure == Failure(FailureReason.DECODE, "response is not the expected JSON")


@pytest.mark.parametrize(
    ("source", "body", "detail"),
    [
        pytest.param(
            SELF,
            b'{"stats": {}}',
            "no stats of a server or a client",
            id="self without a role",
        ),
        pytest.param(HEALTH, b"{}", "no health check of a server or a client", id="health without a check"),
    ],
)
def test_incomplete_json_is_a_decode_failure(source: Source[Any], body: bytes, detail: str) -> None:
    assert source.read(Reply(200, body)) == Failure(FailureReason.DECODE, detail)


def test_more_members_than_limit_are_too_large() -> None:
    body = json.dumps({"Members": [{}] * (LISTED_LIMIT + 1)}).encode()

    assert MEMBERS.read(Reply(200, body)) == Failure(FailureReason.TOO_LARGE, f"more than {LISTED_LIMIT} members")


@pytest.mark.parametrize("status", [200, 429])
def test_more_servers_than_limit_are_too_large(status: int) -> None:
    body = json.dumps({"Healthy": True, "Servers": [{}] * (SERVERS_LIMIT + 1)}).encode()

    assert AUTOPILOT.read(Reply(status, body)) == Failure(FailureReason.TOO_LARGE, f"more than {SERVERS_LIMIT} servers")


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
def test_failure_never_quotes_the_body(source: Source[Any], status: int, body: str) -> None:
    failure = source.read(Reply(status, body.encode(errors="surrogateescape")))

    assert isinstance(failure, Failure)
    assert SECRET not in failure.detail


@every_source
@given(
    status=st.integers(min_value=100, max_value=599),
    body=st.binary()
    | st.sampled_from([b"{}", b"[]", b'{"server": {"ok": true}}', b'{"Members": []}', b'{"Healthy": true}']),
)
@settings(deadline=None)
def test_every_reply_is_an_answer_or_a_failure(source: Source[Any], status: int, body: bytes) -> None:
    outcome = source.read(Reply(status, body))

    assert isinstance(outcome, Failure) or isinstance(outcome.invalid_fields, tuple)
    assert status in source.statuses or isinstance(outcome, Failure)
