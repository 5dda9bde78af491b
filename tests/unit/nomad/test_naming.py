"""The node name of an agent: one or two requests with a short timeout together."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from nomad_exporter.nomad import naming
from nomad_exporter.nomad.agent import Address, Agent, Credentials, Secret
from nomad_exporter.nomad.naming import node_name
from tests.support.agents import RecordedAgent, Script, answer, free_port, scripted


@pytest.mark.parametrize(
    ("situation", "name"),
    [
        pytest.param("2.0.5/healthy/c1-client", "c1", id="client"),
        pytest.param("2.0.5/healthy/s1-follower", "s1", id="server"),
        pytest.param("1.2.16/healthy/c1-client", "c1", id="old client"),
    ],
)
def test_node_name_is_returned(situation: str, name: str) -> None:
    with RecordedAgent(situation) as agent:
        assert node_name(Agent("unknown", agent.address)) == name


def test_one_request_is_sent_with_the_token() -> None:
    with RecordedAgent("2.0.5/healthy/c1-client") as agent:
        node_name(Agent("unknown", agent.address, Credentials(token=Secret("of-the-task"))))

    ((path, headers),) = agent.requests
    assert (path, headers["x-nomad-token"]) == ("/v1/agent/self", "of-the-task")


def test_rejected_token_returns_empty_name() -> None:
    with RecordedAgent("2.0.5/acl/anonymous") as agent:
        assert node_name(Agent("unknown", agent.address)) == ""


def test_closed_port_returns_empty_name() -> None:
    assert node_name(Agent("unknown", Address("http", "127.0.0.1", free_port()))) == ""


def test_missing_socket_returns_empty_name() -> None:
    assert node_name(Agent("unknown", Address("unix", path="/no/such/api.sock"))) == ""


def never_respond(connection: socket.socket, over: threading.Event) -> None:
    """Accept the connection and send nothing."""
    over.wait()


def test_unresponsive_agent_returns_empty_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "SECONDS", 0.05)
    with scripted(never_respond) as address:
        assert node_name(Agent("unknown", address)) == ""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(b"{}"), id="empty object"),
        pytest.param(answer(b"null"), id="null"),
        pytest.param(answer(b'{"config": {"NodeName": ["c1"]}, "stats": {"client": {}}}'), id="name is a list"),
        pytest.param(answer(b'{"config": {}, "stats": {"client": {}}}'), id="no name"),
        pytest.param(answer(b"<html>", b"HTTP/1.1 404 Not Found"), id="another HTTP server"),
    ],
)
def test_answer_without_name_returns_empty_name(script: Script) -> None:
    with scripted(script) as address:
        assert node_name(Agent("unknown", address)) == ""


NODE_ID = "c0ffee00-0000-4000-8000-000000000001"
CLIENT = {"config": {"NodeName": "", "Region": "global"}, "stats": {"client": {"node_id": NODE_ID}}}
NODE = b'{"Name": "worker-17"}'


def respond(body: object, node: bytes | None, paths: list[bytes]) -> Script:
    """Return an agent with this body for ``self``, and for the node this body, or no response if None."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        while request := connection.recv(65536):
            paths.append(request.split()[1])
            sent = node if paths[-1].startswith(b"/v1/node/") else json.dumps(body).encode()
            if sent is None:
                over.wait()
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(sent), sent))

    return script


def test_name_of_client_without_configured_name_is_that_of_its_node() -> None:
    paths: list[bytes] = []
    with scripted(respond(CLIENT, NODE, paths)) as address:
        assert node_name(Agent("unknown", address)) == "worker-17"

    assert paths == [b"/v1/agent/self", f"/v1/node/{NODE_ID}?stale".encode()]


@pytest.mark.parametrize("node", [b"", b"{}", b"null"])
def test_node_without_name_leads_to_the_node_id(node: bytes) -> None:
    with scripted(respond(CLIENT, node, [])) as address:
        assert node_name(Agent("unknown", address)) == NODE_ID


def test_unresponsive_node_leads_to_the_node_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "SECONDS", 0.2)
    with scripted(respond(CLIENT, None, [])) as address:
        assert node_name(Agent("unknown", address)) == NODE_ID


def test_name_of_server_without_configured_name_is_that_in_gossip() -> None:
    paths: list[bytes] = []
    body = {**CLIENT, "member": {"Name": "host.example.global", "Status": "alive"}}
    with scripted(respond(body, NODE, paths)) as address:
        assert node_name(Agent("unknown", address)) == "host.example"

    assert paths == [b"/v1/agent/self"]
