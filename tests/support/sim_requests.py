"""Questions to a simulated agent without a socket, written as one line: ``GET /v1/agent/health?type=server``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from nomad_exporter.demo.face.acl import AGENT_READ, MANAGEMENT, MONITORING, Acl
from nomad_exporter.demo.face.answers import Answer, Held, Question, Reply
from nomad_exporter.demo.face.routes import Face, answer
from nomad_exporter.demo.model.cluster import Cluster
from nomad_exporter.demo.model.timing import Timing
from nomad_exporter.demo.versions import NEWEST, Version
from tests.support.clusters import CALM, calm_cluster, client_setups, pass_time, server_setups

MANAGER = "00000000-0000-4000-8000-000000000001"
AGENT_READER = "00000000-0000-4000-8000-000000000002"
MONITOR = "00000000-0000-4000-8000-000000000003"
STRANGER = "00000000-0000-4000-8000-000000000009"
"""A token that nobody knows."""


def question(cluster: Cluster, line: str, token: str = "") -> Question:
    """What is asked at the cluster's present."""
    method, target = line.split(" ", 1)
    path, _, query = target.partition("?")
    parameters = parse_qs(query, keep_blank_values=True)
    return Question(method, path, parameters, token, cluster.world.now, cluster.world.chance.random())


def ask(face: Face, name: str, line: str, token: str = "") -> Reply:
    """What comes of a question at once."""
    return answer(face, name, question(face.cluster, line, token))


def answered(face: Face, name: str, line: str, token: str = "") -> Answer:
    """The answer to a question that is answered at once."""
    reply = ask(face, name, line, token)
    assert isinstance(reply, Answer), reply
    return reply


def waited(face: Face, name: str, line: str, token: str = "", most: float = 60.0) -> tuple[Answer, float]:
    """The answer to a question that may be held, and after how long it came; fails where it lasts too long."""
    asked = question(face.cluster, line, token)
    while face.cluster.world.now - asked.since < most:
        reply = answer(face, name, asked)
        if not isinstance(reply, Held):
            assert isinstance(reply, Answer), reply
            return reply, face.cluster.world.now - asked.since
        pass_time(face.cluster, reply.seconds)
    raise AssertionError(f"{line} was not answered in {most} seconds")


def hangs(face: Face, name: str, line: str, token: str = "", seconds: float = 60.0) -> bool:
    """Whether a question stays without an answer for so long."""
    asked = question(face.cluster, line, token)
    while isinstance(reply := answer(face, name, asked), Held) and face.cluster.world.now - asked.since < seconds:
        pass_time(face.cluster, reply.seconds)
    return isinstance(reply, Held)


def told(reply: Answer) -> Any:
    """What the body says in JSON."""
    return json.loads(reply.body)


def text(reply: Answer) -> tuple[int, str]:
    """The status, and the body as it is."""
    return reply.status, reply.body.decode()


def with_clients(count: int = 1, version: Version = NEWEST) -> Cluster:
    """Three servers, and clients that have registered."""
    cluster = calm_cluster(clients=count, version=version)
    pass_time(cluster, 20.0)
    return cluster


def guarded(version: Version = NEWEST, servers: int = 3, clients: int = 1) -> Face:
    """A cluster with access control, and three tokens: MANAGER, AGENT_READER and MONITOR."""
    plain = server_setups(servers, version)
    setups = [replace(setup, acl=True) for setup in (*plain, *client_setups(clients, plain))]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, CALM)
    tokens = {MANAGER: MANAGEMENT, AGENT_READER: frozenset({AGENT_READ}), MONITOR: MONITORING}
    return Face(cluster, Acl(tokens))


def of_one_agent(version: Version = NEWEST) -> Face:
    """One agent that is server and client, ``s1.global``."""
    (setup,) = server_setups(1, version)
    cluster = Cluster([replace(setup, client=True, servers=(setup.rpc_address,))], Timing(), 1, 0.0)
    pass_time(cluster, CALM)
    return Face(cluster)


def of_two_regions(version: Version = NEWEST) -> Face:
    """One server in each of the regions east and west, ``s1.east`` and ``s1.west``, that know each other."""
    setups = [*server_setups(1, version, "east", 1), *server_setups(1, version, "west", 2)]
    cluster = Cluster(setups, Timing(), 1, 0.0)
    pass_time(cluster, CALM)
    cluster.join("s1.east", "s1.west")
    return Face(cluster)
