"""Requests to a simulated agent without a socket, written as ``GET /v1/agent/health?type=server``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from nomad_sim.api.acl import AGENT_READ, MANAGEMENT, MONITORING, Acl
from nomad_sim.api.http import ApiRequest, ApiResponse, Pending, Reply
from nomad_sim.api.routes import NomadApi, handle
from nomad_sim.model.cluster import Cluster
from nomad_sim.versions import NEWEST, Version
from tests.support.clusters import calm_cluster, client_setups, elected_cluster, pass_time, server_setups
from tests.support.prepared import prepared

MANAGER = "00000000-0000-4000-8000-000000000001"
AGENT_READER = "00000000-0000-4000-8000-000000000002"
MONITOR = "00000000-0000-4000-8000-000000000003"
UNKNOWN_TOKEN = "00000000-0000-4000-8000-000000000009"
"""A token that the servers do not know."""


def api_request(cluster: Cluster, line: str, token: str = "") -> ApiRequest:
    """Return a request received at the cluster's current time."""
    method, target = line.split(" ", 1)
    path, _, query = target.partition("?")
    parameters = parse_qs(query, keep_blank_values=True)
    return ApiRequest(method, path, parameters, token, cluster.world.now, cluster.world.rng.random())


def send(api: NomadApi, name: str, line: str, token: str = "") -> Reply:
    """Handle a request once; the reply may be Pending or a Stream."""
    return handle(api, name, api_request(api.cluster, line, token))


def respond(api: NomadApi, name: str, line: str, token: str = "") -> ApiResponse:
    """Return the immediate response to a request."""
    reply = send(api, name, line, token)
    assert isinstance(reply, ApiResponse), reply
    return reply


def wait_for_response(
    api: NomadApi, name: str, line: str, token: str = "", timeout: float = 60.0
) -> tuple[ApiResponse, float]:
    """Advance the clock until a request has its response; return the response and the seconds passed.

    Raise AssertionError after ``timeout`` seconds.
    """
    request = api_request(api.cluster, line, token)
    while api.cluster.world.now - request.received_at < timeout:
        reply = handle(api, name, request)
        if not isinstance(reply, Pending):
            assert isinstance(reply, ApiResponse), reply
            return reply, api.cluster.world.now - request.received_at
        pass_time(api.cluster, reply.seconds)
    raise AssertionError(f"no response to {line} within {timeout} seconds")


def is_pending(api: NomadApi, name: str, line: str, token: str = "", seconds: float = 60.0) -> bool:
    """Advance the clock; return whether a request is still pending after ``seconds``."""
    request = api_request(api.cluster, line, token)
    while (
        isinstance(reply := handle(api, name, request), Pending)
        and api.cluster.world.now - request.received_at < seconds
    ):
        pass_time(api.cluster, reply.seconds)
    return isinstance(reply, Pending)


def body_of(reply: ApiResponse) -> Any:
    """Return the decoded JSON body."""
    return json.loads(reply.body)


def status_and_text(reply: ApiResponse) -> tuple[int, str]:
    """Return status and body as text."""
    return reply.status, reply.body.decode()


@prepared
def with_clients(count: int = 1, version: Version = NEWEST) -> Cluster:
    """Return three servers and ``count`` clients that have registered."""
    cluster = calm_cluster(clients=count, version=version)
    pass_time(cluster, 20.0)
    return cluster


def api_with_acl(version: Version = NEWEST, servers: int = 3, clients: int = 1) -> NomadApi:
    """Return a cluster with ACLs and the tokens MANAGER, AGENT_READER and MONITOR."""
    plain = server_setups(servers, version)
    setups = [replace(setup, acl=True) for setup in (*plain, *client_setups(clients, plain))]
    tokens = {MANAGER: MANAGEMENT, AGENT_READER: frozenset({AGENT_READ}), MONITOR: MONITORING}
    return NomadApi(elected_cluster(*setups), Acl(tokens))


def api_of_one_agent(version: Version = NEWEST) -> NomadApi:
    """Return one agent that is server and client, ``s1.global``."""
    (setup,) = server_setups(1, version)
    return NomadApi(elected_cluster(replace(setup, client=True, servers=(setup.rpc_address,))))


def api_of_two_regions(version: Version = NEWEST) -> NomadApi:
    """Return the joined regions east and west with one server each, ``s1.east`` and ``s1.west``."""
    cluster = elected_cluster(*server_setups(1, version, "east", 1), *server_setups(1, version, "west", 2))
    cluster.join("s1.east", "s1.west")
    return NomadApi(cluster)
