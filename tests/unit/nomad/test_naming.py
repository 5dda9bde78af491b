"""The node name of an agent: one request with a short timeout."""

from __future__ import annotations

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
