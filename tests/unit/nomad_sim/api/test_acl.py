"""ACLs: each kind of token at each endpoint, as recorded with each version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_sim.api.acl import AGENT_READ, MANAGEMENT, Acl
from nomad_sim.api.http import TEXT
from nomad_sim.api.routes import NomadApi
from nomad_sim.model.timing import Timing
from nomad_sim.versions import VERSIONS
from tests.support.clusters import calm_cluster, client_of, pass_time
from tests.support.sim_requests import (
    AGENT_READER,
    MANAGER,
    MONITOR,
    UNKNOWN_TOKEN,
    api_with_acl,
    is_pending,
    respond,
    send,
    status_and_text,
)

NODES, NODE = "GET /v1/nodes", "GET /v1/node/id-global-c1"
MALFORMED = "not-a-token"
SELF, MEMBERS, SERVERS, HEALTH = (f"GET /v1/agent/{name}" for name in ("self", "members", "servers", "health"))
FORCE_LEAVE = "PUT /v1/agent/force-leave?node=nobody"
LINES = (SELF, MEMBERS, NODES, NODE, "GET /v1/operator/autopilot/health", FORCE_LEAVE)

DENIED = (403, "Permission denied")
NOT_FOUND = (403, "ACL token not found")
NO_UUID = "acl token lookup failed: index error: UUID must be 36 characters"
NO_JWT = "failed to parse signed token: go-jose/go-jose: compact JWS format must have three parts"
NO_JWT_16 = "failed to verify token: token is malformed: token contains an invalid number of segments"

# Errors for an unknown and a malformed token, from the server itself; then the same for forwarded requests.
SERVER_DENIALS = {
    "2.0": (DENIED, (500, f"ACL token not found or invalid workload identity: {NO_JWT}"), DENIED, DENIED),
    "1.10": (NOT_FOUND, (500, f"failed to resolve ACL token: {NO_UUID}"), DENIED, DENIED),
    "1.6": (NOT_FOUND, (500, f"failed to resolve ACL token: {NO_UUID}"), DENIED, DENIED),
    "1.2": (NOT_FOUND, (500, f"failed to resolve ACL token: {NO_UUID}"), NOT_FOUND, (500, NO_UUID)),
    "0.12": (NOT_FOUND, (500, NO_UUID), NOT_FOUND, (500, NO_UUID)),
}
CLIENT_DENIALS = {
    "2.0": (DENIED, (500, f"rpc error: {NO_JWT}")),
    "1.10": (DENIED, (500, f"rpc error: {NO_JWT}")),
    "1.6": (DENIED, (500, f"rpc error: {NO_JWT_16}")),
    "1.2": (NOT_FOUND, (500, f"rpc error: {NO_UUID}")),
    "0.12": (NOT_FOUND, (500, f"rpc error: {NO_UUID}")),
}

every_version = pytest.mark.parametrize("series", VERSIONS)


@every_version
def test_server_denies_invalid_token_with_text_of_version(series: str) -> None:
    api = api_with_acl(VERSIONS[series])
    unknown, malformed, unknown_forwarded, malformed_forwarded = SERVER_DENIALS[series]

    assert status_and_text(respond(api, "s1.global", SELF, UNKNOWN_TOKEN)) == unknown
    assert status_and_text(respond(api, "s1.global", SELF, MALFORMED)) == malformed
    assert status_and_text(respond(api, "s1.global", MEMBERS, UNKNOWN_TOKEN)) == unknown_forwarded
    assert status_and_text(respond(api, "s1.global", MEMBERS, MALFORMED)) == malformed_forwarded


@every_version
@pytest.mark.parametrize("line", [SELF, SERVERS])
def test_client_denies_invalid_token_with_rpc_error(series: str, line: str) -> None:
    api = api_with_acl(VERSIONS[series])
    unknown, malformed = CLIENT_DENIALS[series]

    assert status_and_text(respond(api, "c1", line, UNKNOWN_TOKEN)) == unknown
    assert status_and_text(respond(api, "c1", line, MALFORMED)) == malformed


@every_version
@pytest.mark.parametrize("line", LINES)
def test_request_without_token_is_denied(series: str, line: str) -> None:
    assert status_and_text(respond(api_with_acl(VERSIONS[series]), "s1.global", line)) == DENIED


@pytest.mark.parametrize(
    ("token", "allowed"),
    [
        pytest.param(AGENT_READER, {SELF}, id="agent:read"),
        pytest.param(MONITOR, {SELF, MEMBERS, NODES, NODE}, id="agent:read and node:read"),
        pytest.param(MANAGER, set(LINES), id="management"),
    ],
)
def test_token_allows_requests_of_its_capabilities(token: str, allowed: set[str]) -> None:
    api = api_with_acl()
    pass_time(api.cluster, 20.0)
    statuses = {line: respond(api, "s1.global", line, token).status for line in LINES}

    assert statuses == {line: 200 if line in allowed else 403 for line in LINES}


def test_agent_read_does_not_allow_updating_servers() -> None:
    api = api_with_acl()

    assert respond(api, "c1", SERVERS, AGENT_READER).status == 200
    assert status_and_text(respond(api, "c1", "PUT /v1/agent/servers?address=127.0.1.1", AGENT_READER)) == DENIED


@pytest.mark.parametrize("token", ["", UNKNOWN_TOKEN, MALFORMED, MONITOR])
@pytest.mark.parametrize("line", [HEALTH, "GET /v1/status/leader", "GET /v1/status/peers"])
def test_health_and_status_require_no_token(line: str, token: str) -> None:
    assert respond(api_with_acl(), "s1.global", line, token).status == 200


def test_agent_without_acl_ignores_token() -> None:
    api = NomadApi(calm_cluster(clients=1), Acl({MANAGER: MANAGEMENT}))

    assert respond(api, "s1.global", SELF, MALFORMED).status == 200
    assert respond(api, "c1", SERVERS).status == 200


def test_only_1_6_denies_without_content_type() -> None:
    kinds = {series: respond(api_with_acl(VERSIONS[series]), "s1.global", SELF).content_type for series in VERSIONS}

    assert kinds == dict.fromkeys(VERSIONS, TEXT) | {"1.6": None}


def test_default_acl_has_no_tokens() -> None:
    assert not Acl().has_token(MANAGER)
    assert not Acl().allows(MANAGER, AGENT_READ)
    assert Acl({MANAGER: MANAGEMENT}).allows(MANAGER, AGENT_READ)


def test_client_uses_cached_token_when_servers_are_dead() -> None:
    api = api_with_acl()
    respond(api, "c1", SELF, MONITOR)
    for number in (1, 2, 3):
        api.cluster.kill(f"s{number}.global")
    pass_time(api.cluster, 70)

    assert respond(api, "c1", SELF, MONITOR).status == 200
    assert status_and_text(respond(api, "c1", SELF)) == DENIED


def test_client_cannot_resolve_new_token_when_servers_are_dead() -> None:
    api = api_with_acl()
    for number in (1, 2, 3):
        api.cluster.kill(f"s{number}.global")
    first = client_of(api.cluster, "c1").servers[0]
    error = f"rpc error: failed to get conn: dial tcp {first}: connect: connection refused"

    assert status_and_text(respond(api, "c1", SELF, MONITOR)) == (500, error)


def test_client_of_paused_servers_is_healthy_but_holds_tokens() -> None:
    api = api_with_acl()
    respond(api, "c1", SELF, MONITOR)
    for number in (1, 2, 3):
        api.cluster.pause(f"s{number}.global")
    pass_time(api.cluster, Timing().token_cache_ttl + 1)

    assert is_pending(api, "c1", SELF, MONITOR, seconds=180)
    assert is_pending(api, "c1", SERVERS, MONITOR)
    assert respond(api, "c1", HEALTH).status == 200


def test_client_caches_token_for_30_seconds() -> None:
    api = api_with_acl()
    respond(api, "c1", SELF, MONITOR)
    for number in (1, 2, 3):
        api.cluster.pause(f"s{number}.global")
    pass_time(api.cluster, 29)
    assert respond(api, "c1", SELF, MONITOR).status == 200

    pass_time(api.cluster, 2)
    assert is_pending(api, "c1", SELF, MONITOR)


def test_client_restart_clears_token_cache() -> None:
    api = api_with_acl()
    respond(api, "c1", SELF, MONITOR)
    api.cluster.kill("c1")
    pass_time(api.cluster, 1)
    api.cluster.start("c1")
    for number in (1, 2, 3):
        api.cluster.pause(f"s{number}.global")

    assert is_pending(api, "c1", SELF, MONITOR)


@every_version
def test_server_rejects_revoked_token_immediately(series: str) -> None:
    api = api_with_acl(VERSIONS[series])
    api.acl = replace(api.acl, revoked=frozenset({MONITOR}))
    unknown, _, unknown_forwarded, _ = SERVER_DENIALS[series]

    assert status_and_text(respond(api, "s1.global", SELF, MONITOR)) == unknown
    assert status_and_text(respond(api, "s1.global", MEMBERS, MONITOR)) == unknown_forwarded
    assert status_and_text(respond(api, "c1", MEMBERS, MONITOR)) == CLIENT_DENIALS[series][0]
    assert respond(api, "s1.global", SELF, MANAGER).status == 200


@pytest.mark.parametrize("series", ["2.0", "1.10", "1.6"])
def test_client_keeps_accepting_cached_token_after_revocation(series: str) -> None:
    api = api_with_acl(VERSIONS[series])
    respond(api, "c1", SELF, MONITOR)
    api.acl = replace(api.acl, revoked=frozenset({MONITOR}))
    pass_time(api.cluster, 80)

    assert respond(api, "c1", SELF, MONITOR).status == 200
    assert respond(api, "c1", SERVERS, MONITOR).status == 200
    assert status_and_text(respond(api, "c1", MEMBERS, MONITOR)) == DENIED


@pytest.mark.parametrize("series", ["1.2", "0.12"])
def test_old_client_rejects_revoked_token_when_cache_expires(series: str) -> None:
    api = api_with_acl(VERSIONS[series])
    respond(api, "c1", SELF, MONITOR)
    api.acl = replace(api.acl, revoked=frozenset({MONITOR}))
    pass_time(api.cluster, 29)
    assert respond(api, "c1", SELF, MONITOR).status == 200

    pass_time(api.cluster, 2)
    assert status_and_text(respond(api, "c1", SELF, MONITOR)) == NOT_FOUND


def test_restored_token_regains_its_capabilities() -> None:
    api = api_with_acl()
    api.acl = replace(api.acl, revoked=frozenset({MONITOR}))
    assert status_and_text(respond(api, "c1", SELF, MONITOR)) == DENIED
    api.acl = replace(api.acl, revoked=frozenset())

    assert respond(api, "c1", SELF, MONITOR).status == 200
    assert respond(api, "s1.global", MEMBERS, MONITOR).status == 200


def test_client_needs_one_live_server_to_resolve_token() -> None:
    api = api_with_acl()
    api.cluster.pause("s1.global")
    api.cluster.kill("s2.global")

    assert respond(api, "c1", SELF, MONITOR).status == 200


def test_client_without_servers_holds_request_with_token() -> None:
    api = api_with_acl()
    api.cluster.set_servers("c1", ())

    assert is_pending(api, "c1", SELF, MONITOR)


def test_client_with_wrong_servers_cannot_resolve_token() -> None:
    api = api_with_acl()
    api.cluster.set_servers("c1", ("127.0.1.99:4647",))

    assert respond(api, "c1", SELF, MONITOR).status == 500


def test_token_cache_is_separate_per_client() -> None:
    api = api_with_acl(clients=2)
    send(api, "c1", SELF, MONITOR)
    for number in (1, 2, 3):
        api.cluster.kill(f"s{number}.global")

    assert respond(api, "c1", SELF, MONITOR).status == 200
    assert respond(api, "c2", SELF, MONITOR).status == 500
