"""Restart detection: what proves a restart, and what an agent that runs can do without proving one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Member, Role
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.polling.identity import PROOFS, proofs
from tests.support.answers import START, recorded, self_answer
from tests.support.recordings import situations


def recorded_self(name: str) -> AgentSelf:
    """Return the answer to ``self`` of a recorded agent."""
    answer = SELF.read(recorded(name))
    assert isinstance(answer, AgentSelf)
    return answer


def proofs_between(before: AgentSelf, after: AgentSelf) -> tuple[str, ...]:
    return proofs(before, after, START, None)


SERVER = self_answer(
    version="2.0.5",
    member=Member("s1.global", id="id-1"),
    numbers={"raft.commit_index": 90, "raft.applied_index": 90, "raft.term": 3},
    texts={"raft.state": "Follower"},
)
CLIENT = self_answer(
    Role.CLIENT, version="2.0.5", numbers={"client.heartbeat_ttl": 15.5}, texts={"client.node_id": "n-1"}
)
UNREGISTERED = replace(CLIENT, numbers={}, null_paths=frozenset({"client.heartbeat_ttl"}))
SHUT_DOWN = replace(SERVER, texts={"raft.state": "Shutdown"})

RESTARTED = [
    pytest.param("version", SERVER, replace(SERVER, version="2.0.6"), id="another version"),
    pytest.param("roles", SERVER, replace(SERVER, roles=frozenset(Role)), id="another role"),
    pytest.param(
        "member_id",
        SERVER,
        replace(SERVER, member=Member("s1.global", id="id-2")),
        id="server with an emptied data directory",
    ),
    pytest.param(
        "node_id", CLIENT, replace(CLIENT, texts={"client.node_id": "n-2"}), id="client with an emptied data directory"
    ),
    pytest.param(
        "commit_index",
        SERVER,
        replace(SERVER, numbers={"raft.commit_index": 0, "raft.applied_index": 90}),
        id="commit index starts again",
    ),
    pytest.param(
        "applied_index",
        SERVER,
        replace(SERVER, numbers={"raft.commit_index": 91, "raft.applied_index": 40}),
        id="server applies its log again",
    ),
    pytest.param("raft_state", SHUT_DOWN, SERVER, id="raft runs after a shutdown"),
    pytest.param(
        "member_status",
        replace(SERVER, member=Member("s1.global", "left")),
        replace(SERVER, member=Member("s1.global", "alive")),
        id="server that left is alive",
    ),
    pytest.param("heartbeat_ttl", CLIENT, UNREGISTERED, id="client registers again"),
]


@pytest.mark.parametrize(("name", "before", "after"), RESTARTED)
def test_restart_is_proved(name: str, before: AgentSelf, after: AgentSelf) -> None:
    assert proofs_between(before, after) == (name,)


def test_every_proof_is_tested_alone() -> None:
    assert {parameters.values[0] for parameters in RESTARTED} == PROOFS.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(SERVER, SERVER, id="nothing changed"),
        pytest.param(
            SERVER, replace(SERVER, numbers={"raft.commit_index": 95, "raft.applied_index": 92}), id="indexes increase"
        ),
        pytest.param(SERVER, self_answer(), id="second answer is empty"),
        pytest.param(self_answer(), SERVER, id="first answer is empty"),
        pytest.param(SERVER, SHUT_DOWN, id="raft shuts down"),
        pytest.param(UNREGISTERED, CLIENT, id="client registers"),
        pytest.param(UNREGISTERED, UNREGISTERED, id="client is still unregistered"),
        pytest.param(CLIENT, replace(CLIENT, numbers={}), id="TTL is missing"),
        pytest.param(
            SERVER, replace(SERVER, member=Member("s1.global", "leaving", id="id-1")), id="status changes to leaving"
        ),
    ],
)
def test_change_of_running_agent_proves_no_restart(before: AgentSelf, after: AgentSelf) -> None:
    assert proofs_between(before, after) == ()


@given(st.sampled_from(RAFT_STATES), st.sampled_from([state for state in RAFT_STATES if state != "Shutdown"]))
def test_election_proves_no_restart(after: str, before: str) -> None:
    answers = [replace(SERVER, texts={"raft.state": state}) for state in (before, after)]

    assert proofs_between(*answers) == ()


@pytest.mark.parametrize(("refused_at", "expected"), [(-1.0, ("refused",)), (0.0, ("refused",)), (0.5, ())])
def test_poll_after_refused_poll_proves_restart(refused_at: float, expected: tuple[str, ...]) -> None:
    assert proofs(SERVER, SERVER, START, START + refused_at) == expected


def test_all_proofs_of_a_restart_are_returned() -> None:
    restarted = replace(SERVER, version="2.0.6", numbers={"raft.commit_index": 0, "raft.applied_index": 0})

    assert proofs(SERVER, restarted, START, START) == ("version", "commit_index", "applied_index", "refused")


# Recorded agents.

SCENARIOS = (
    "healthy",
    "failed-follower",
    "leader-just-died",
    "no-leader",
    "no-leader-for-long",
    "recovered",
)
"""Scenarios in the order of recording, during which one server and one client were never restarted."""

NOT_RESTARTED = {"1.2.16": "s3", "1.6.10": "s2", "1.10.5": "s2", "2.0.5": "s3"}


def answers_of(version: str, agent: str) -> list[AgentSelf]:
    """Return the answers to ``self`` of an agent that kept running while the other agents were stopped and started."""
    names = [s.name for s in situations() if s.name.startswith(f"{version}/") and SELF.path in s.answers]
    return [
        recorded_self(name)
        for scenario in SCENARIOS
        for name in names
        if name.startswith(f"{version}/{scenario}/{agent}")
    ]


@pytest.mark.parametrize(("version", "server"), NOT_RESTARTED.items())
def test_recorded_agent_that_kept_running_has_no_proofs(version: str, server: str) -> None:
    servers, clients = answers_of(version, server), answers_of(version, "c1")

    assert (len(servers), len(clients)) == (6, 5)
    assert [proofs_between(*pair) for answers in (servers, clients) for pair in pairwise(answers)] == [()] * 9


@pytest.mark.parametrize("version", NOT_RESTARTED)
def test_recorded_restart_is_proved(version: str) -> None:
    before, after = recorded_self(f"{version}/single/bacon-mac"), recorded_self(f"{version}/single-starting/bacon-mac")

    assert proofs_between(before, after) == ("commit_index", "applied_index", "heartbeat_ttl")
