"""From reply to answer or failure: what a status and a body mean, without a word of the body in any detail."""

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

Read = Callable[[Reply], AgentSelf | Members | HealthAnswer | Autopilot | Failure]

READERS: dict[str, Read] = {
    SELF_PATH: sources.agent_self,
    MEMBERS_PATH: sources.members,
    HEALTH_PATH: sources.health,
    AUTOPILOT_PATH: sources.autopilot,
}

every_source = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(SELF_PATH, AgentSelf), (MEMBERS_PATH, Members), (HEALTH_PATH, HealthAnswer), (AUTOPILOT_PATH, Autopilot)],
)
def test_a_recorded_reply_is_an_answer(path: str, kind: type) -> None:
    assert isinstance(READERS[path](recorded("2.0.5/healthy/s2-leader", path)), kind)


def test_red_health_is_an_answer_though_its_status_is_500() -> None:
    answer = sources.health(recorded("2.0.5/no-leader/s3-follower", HEALTH_PATH))

    assert answer == HealthAnswer(500, {Role.SERVER: Check(ok=False, message="No cluster leader")})


@pytest.mark.parametrize(
    "name",
    ["2.0.5/autopilot-cleaned/s1-leader", "1.10.5/autopilot-cleaned/s1-leader", "1.2.16/autopilot-cleaned/s2-leader"],
)
def test_autopilot_that_does_not_find_all_well_is_an_answer_though_its_status_is_429(name: str) -> None:
    reply = recorded(name, AUTOPILOT_PATH)
    answer = sources.autopilot(reply)

    assert reply.status == 429
    assert isinstance(answer, Autopilot)
    assert answer.healthy is False


def test_an_agent_that_has_too_many_connections_says_nothing_of_autopilot_under_the_same_status() -> None:
    failure = sources.autopilot(Reply(429, b"Your IP is issuing too many concurrent connections"))

    assert failure == Failure(FailureReason.STATUS, "HTTP 429", status=429)


def test_a_token_without_operator_read_is_told_as_that() -> None:
    failure = sources.autopilot(Reply(403, b"Permission denied"))

    assert failure == Failure(FailureReason.UNAUTHORIZED, f"HTTP 403: {REJECTED}")


REJECTED = "the token was rejected or may not read this"


@pytest.mark.parametrize(
    ("name", "path", "detail"),
    [
        pytest.param("2.0.5/acl/anonymous", SELF_PATH, f"HTTP 403: {REJECTED}", id="no token"),
        pytest.param("1.2.16/acl/unknown", SELF_PATH, f"HTTP 403: {REJECTED}", id="an unknown token"),
        pytest.param("2.0.5/acl/malformed", SELF_PATH, f"HTTP 500: {REJECTED}", id="a malformed token, since 1.11.1"),
        pytest.param("1.6.10/acl/malformed", SELF_PATH, f"HTTP 500: {REJECTED}", id="a malformed token, before"),
        pytest.param("2.0.5/acl/agent-read", MEMBERS_PATH, f"HTTP 403: {REJECTED}", id="a token without node:read"),
    ],
)
def test_a_recorded_refusal_of_a_token_is_told_as_that(name: str, path: str, detail: str) -> None:
    assert READERS[path](recorded(name, path)) == Failure(FailureReason.UNAUTHORIZED, detail)


def test_a_client_that_cannot_ask_its_servers_is_no_matter_of_tokens() -> None:
    failure = sources.members(recorded("2.0.5/acl-servers-killed/c1-client", MEMBERS_PATH))

    assert failure == Failure(FailureReason.STATUS, "HTTP 500", status=500)


@every_source
@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        pytest.param(
            Reply(401, b"Unauthorized"), FailureReason.UNAUTHORIZED, f"HTTP 401: {REJECTED}", id="the socket of a task"
        ),
        pytest.param(
            Reply(500, b"failed to resolve ACL token: ACL token expired"),
            FailureReason.UNAUTHORIZED,
            f"HTTP 500: {REJECTED}",
            id="an expired token",
        ),
        pytest.param(
            Reply(400, b"Client sent an HTTP request to an HTTPS server.\n"),
            FailureReason.TLS,
            "the agent speaks HTTPS, its address says http://",
            id="HTTP to HTTPS",
        ),
        pytest.param(Reply(400, b"bad request"), FailureReason.STATUS, "HTTP 400", id="any other 400"),
        pytest.param(
            Reply(307, b""),
            FailureReason.REDIRECT,
            "HTTP 307: the agent sends us elsewhere",
            id="the page of an old Nomad",
        ),
        pytest.param(
            Reply(300, b""), FailureReason.REDIRECT, "HTTP 300: the agent sends us elsewhere", id="several choices"
        ),
        pytest.param(Reply(404, b""), FailureReason.STATUS, "HTTP 404", id="not found"),
        pytest.param(
            Reply(429, b"Your IP is issuing too many"), FailureReason.STATUS, "HTTP 429", id="too many connections"
        ),
        pytest.param(Reply(500, b"no servers"), FailureReason.STATUS, "HTTP 500", id="a client without servers"),
        pytest.param(Reply(501, b"Invalid method"), FailureReason.STATUS, "HTTP 501", id="a role that it lacks"),
        pytest.param(Reply(204, b""), FailureReason.STATUS, "HTTP 204", id="nothing, on purpose"),
    ],
)
def test_a_status_tells_the_reason(read: Read, reply: Reply, reason: FailureReason, detail: str) -> None:
    assert read(reply) == Failure(reason, detail, status=reply.status if reason is FailureReason.STATUS else 0)


@pytest.mark.parametrize("path", [SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH])
def test_an_answer_under_status_500_is_none_but_for_health(path: str) -> None:
    body = recorded("2.0.5/healthy/s2-leader", path).body

    assert READERS[path](Reply(500, body)) == Failure(FailureReason.STATUS, "HTTP 500", status=500)


@every_source
def test_a_page_of_something_else_is_no_answer(read: Read) -> None:
    failure = read(Reply(200, b"<!doctype html><title>Nomad</title>"))

    assert failure == Failure(FailureReason.DECODE, "the body is not the JSON that Nomad answers there")


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        pytest.param(
            SELF_PATH,
            b'{"stats": {}}',
            "it has the stats neither of a server nor of a client",
            id="self without a role",
        ),
        pytest.param(HEALTH_PATH, b"{}", "it judges neither a server nor a client", id="health of nobody"),
    ],
)
def test_json_that_says_too_little_is_no_answer(path: str, body: bytes, detail: str) -> None:
    assert READERS[path](Reply(200, body)) == Failure(FailureReason.DECODE, detail)


def test_more_members_than_any_pool_has_are_too_large() -> None:
    body = json.dumps({"Members": [{}] * (MEMBERS_LIMIT + 1)}).encode()

    assert sources.members(Reply(200, body)) == Failure(FailureReason.TOO_LARGE, f"more than {MEMBERS_LIMIT} members")


@pytest.mark.parametrize("status", [200, 429])
def test_more_servers_than_any_raft_configuration_has_are_too_large(status: int) -> None:
    body = json.dumps({"Healthy": True, "Servers": [{}] * (SERVERS_LIMIT + 1)}).encode()

    assert sources.autopilot(Reply(status, body)) == Failure(
        FailureReason.TOO_LARGE, f"more than {SERVERS_LIMIT} servers"
    )


SECRET = "5ecret00-70ce-4aaa-bbbb-0123456789ab"


@every_source
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"ACL token not found: {SECRET}", id="words"),
        pytest.param(f'{{"{SECRET}": 1, "stats": {{"{SECRET}": 1}}, "server": {{"{SECRET}": 1}}}}', id="keys"),
        pytest.param(f'{{"stats": "{SECRET}", "Members": "{SECRET}", "server": "{SECRET}"}}', id="values"),
        pytest.param(f'{{"stats": {{"nomad": "{SECRET}', id="cut off"),
        pytest.param(f'"{SECRET}\udcff"', id="no UTF-8"),
    ],
)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 500, 503])
def test_no_detail_quotes_the_body(read: Read, status: int, body: str) -> None:
    failure = read(Reply(status, body.encode(errors="surrogateescape")))

    assert isinstance(failure, Failure)
    assert SECRET not in failure.detail


@every_source
@given(
    status=st.integers(min_value=100, max_value=599),
    body=st.binary()
    | st.sampled_from([b"{}", b"[]", b'{"server": {"ok": true}}', b'{"Members": []}', b'{"Healthy": true}']),
)
@settings(deadline=None)
def test_every_reply_is_an_answer_or_a_failure(read: Read, status: int, body: bytes) -> None:
    outcome = read(Reply(status, body))

    assert isinstance(outcome, AgentSelf | Members | HealthAnswer | Autopilot | Failure)
    assert status in (200, 429, 500) or isinstance(outcome, Failure)
