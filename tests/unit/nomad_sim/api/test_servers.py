"""The server list of a client: read and replace."""

from __future__ import annotations

import pytest

from nomad_sim.api.http import TEXT, ApiResponse
from nomad_sim.api.routes import NomadApi
from nomad_sim.api.servers import format_errors, host_error, with_port
from tests.support.clusters import new_cluster
from tests.support.sim_requests import body_of, respond, status_and_text, with_clients

SERVERS, UPDATE = "GET /v1/agent/servers", "PUT /v1/agent/servers"


def ping_error(address: str) -> str:
    reason = f"rpc error: failed to get conn: dial tcp {address}: connect: connection refused"
    return f"Server at address {address} failed ping: {reason}"


def test_client_lists_its_servers_sorted() -> None:
    cluster = new_cluster(clients=1)
    cluster.set_servers("c1", ("127.0.1.3:4647", "127.0.1.1:4647"))

    assert body_of(respond(NomadApi(cluster), "c1", SERVERS)) == ["127.0.1.1:4647", "127.0.1.3:4647"]


def test_client_without_servers_has_empty_list() -> None:
    cluster = new_cluster(clients=1)
    cluster.set_servers("c1", ())

    assert body_of(respond(NomadApi(cluster), "c1", SERVERS)) == []


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("address", ["127.0.1.2:4647", "127.0.1.2"])
def test_update_replaces_the_whole_list(method: str, address: str) -> None:
    api = NomadApi(with_clients())

    assert respond(api, "c1", f"{method} /v1/agent/servers?address={address}") == ApiResponse(200)
    assert body_of(respond(api, "c1", SERVERS)) == ["127.0.1.2:4647"]


def test_update_drops_unreachable_addresses() -> None:
    api = NomadApi(with_clients())
    api.cluster.kill("s3.global")
    addresses = "address=127.0.1.1:4647&address=127.0.1.3:4647&address=127.0.1.77:4647"

    assert respond(api, "c1", f"{UPDATE}?{addresses}").status == 200
    assert body_of(respond(api, "c1", SERVERS)) == ["127.0.1.1:4647"]


def test_update_without_reachable_server_keeps_the_list() -> None:
    api = NomadApi(with_clients())
    before = body_of(respond(api, "c1", SERVERS))

    reply = respond(api, "c1", f"{UPDATE}?address=127.0.1.77&address=127.0.1.78:4648")

    assert (reply.status, reply.content_type) == (400, TEXT)
    assert reply.body.decode() == (
        f"2 errors occurred:\n\t* {ping_error('127.0.1.77:4647')}\n\t* {ping_error('127.0.1.78:4648')}\n\n"
    )
    assert body_of(respond(api, "c1", SERVERS)) == before


def test_update_with_invalid_address_reports_no_such_host() -> None:
    assert status_and_text(respond(NomadApi(with_clients()), "c1", f"{UPDATE}?address=not%20an%20address")) == (
        400,
        "1 error occurred:\n\t* lookup not an address: no such host\n\n",
    )


@pytest.mark.parametrize("query", ["", "?server=127.0.1.1"])
def test_update_requires_an_address(query: str) -> None:
    assert status_and_text(respond(NomadApi(with_clients()), "c1", UPDATE + query)) == (400, "missing server address")


def test_update_with_empty_address_reports_failed_ping() -> None:
    assert status_and_text(respond(NomadApi(with_clients()), "c1", f"{UPDATE}?address=")) == (
        400,
        f"1 error occurred:\n\t* {ping_error(':4647')}\n\n",
    )


@pytest.mark.parametrize("line", [SERVERS, f"{UPDATE}?address=127.0.1.1"])
def test_server_has_no_server_list(line: str) -> None:
    assert status_and_text(respond(NomadApi(new_cluster()), "s1.global", line)) == (501, "Invalid method")


@pytest.mark.parametrize(
    ("address", "full"),
    [
        ("10.0.0.1", "10.0.0.1:4647"),
        ("10.0.0.1:4700", "10.0.0.1:4700"),
        ("[::1]:4700", "[::1]:4700"),
        ("[::1]", "[::1]:4647"),
        ("host", "host:4647"),
        (":4700", ":4700:4647"),
    ],
)
def test_default_port_is_appended_to_address(address: str, full: str) -> None:
    assert with_port(address) == full


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1:4647", "localhost", "localhost:4647", "[::1]:4647", "[::1]"])
def test_ip_address_or_localhost_has_no_host_error(address: str) -> None:
    assert host_error(address) is None


def test_other_host_name_cannot_be_resolved() -> None:
    assert host_error("nomad.example:4647") == "lookup nomad.example: no such host"


def test_error_list_has_singular_and_plural() -> None:
    assert format_errors(["a"]) == "1 error occurred:\n\t* a\n\n"
    assert format_errors(["a", "b"]) == "2 errors occurred:\n\t* a\n\t* b\n\n"
