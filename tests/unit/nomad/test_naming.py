"""The name that an agent gives its node, asked for once and never waited for long."""

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
        pytest.param("2.0.5/healthy/c1-client", "c1", id="a client"),
        pytest.param("2.0.5/healthy/s1-follower", "s1", id="a server"),
        pytest.param("1.2.16/healthy/c1-client", "c1", id="an old client"),
    ],
)
def test_an_agent_tells_the_name_of_its_node(situation: str, name: str) -> None:
    with RecordedAgent(situation) as agent:
        assert node_name(Agent("unknown", agent.address)) == name


def test_the_name_is_asked_for_once_with_the_token() -> None:
    with RecordedAgent("2.0.5/healthy/c1-client") as agent:
        node_name(Agent("unknown", agent.address, Credentials(token=Secret("of-the-task"))))

    ((path, headers),) = agent.asked
    assert (path, headers["x-nomad-token"]) == ("/v1/agent/self", "of-the-task")


def test_where_the_token_is_rejected_there_is_no_name() -> None:
    with RecordedAgent("2.0.5/acl/anonymous") as agent:
        assert node_name(Agent("unknown", agent.address)) == ""


def test_where_nothing_listens_there_is_no_name() -> None:
    assert node_name(Agent("unknown", Address("http", "127.0.0.1", free_port()))) == ""


def test_where_there_is_no_socket_there_is_no_name() -> None:
    assert node_name(Agent("unknown", Address("unix", path="/no/such/api.sock"))) == ""


def silence(connection: socket.socket, over: threading.Event) -> None:
    """Takes the question and says nothing."""
    over.wait()


def test_an_agent_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "SECONDS", 0.05)
    with scripted(silence) as address:
        assert node_name(Agent("unknown", address)) == ""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(b"{}"), id="nothing"),
        pytest.param(answer(b"null"), id="null"),
        pytest.param(answer(b'{"config": {"NodeName": ["c1"]}, "stats": {"client": {}}}'), id="a list"),
        pytest.param(answer(b'{"config": {}, "stats": {"client": {}}}'), id="no name"),
        pytest.param(answer(b"<html>", b"HTTP/1.1 404 Not Found"), id="another server"),
    ],
)
def test_an_answer_without_a_name_gives_none(script: Script) -> None:
    with scripted(script) as address:
        assert node_name(Agent("unknown", address)) == ""
