"""Restarts: what proves one, and what happens to an agent that lives and proves none."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad import sources
from nomad_exporter.nomad.models import RAFT_STATES, AgentSelf, Member, Role
from nomad_exporter.nomad.sources import SELF_PATH
from nomad_exporter.polling.restarts import PROOFS, proofs
from tests.support.answers import START, own, recorded
from tests.support.recordings import situations


def of(name: str) -> AgentSelf:
    """What a recorded agent said of itself."""
    answer = sources.agent_self(recorded(name))
    assert isinstance(answer, AgentSelf)
    return answer


def proved(before: AgentSelf, now: AgentSelf) -> tuple[str, ...]:
    return proofs(before, now, START, None)


SERVER = own(
    version="2.0.5",
    member=Member("s1.global", id="id-1"),
    numbers={"raft.commit_index": 90, "raft.applied_index": 90, "raft.term": 3},
    texts={"raft.state": "Follower"},
)
CLIENT = own(Role.CLIENT, version="2.0.5", numbers={"client.heartbeat_ttl": 15.5}, texts={"client.node_id": "n-1"})
UNREGISTERED = replace(CLIENT, numbers={}, null_paths=frozenset({"client.heartbeat_ttl"}))
SHUT_DOWN = replace(SERVER, texts={"raft.state": "Shutdown"})

RESTARTED = [
    pytest.param("version", SERVER, replace(SERVER, version="2.0.6"), id="another version"),
    pytest.param("roles", SERVER, replace(SERVER, roles=frozenset(Role)), id="another role"),
    pytest.param("member_id", SERVER, replace(SERVER, member=Member("s1.global", id="id-2")), id="an emptied server"),
    pytest.param("node_id", CLIENT, replace(CLIENT, texts={"client.node_id": "n-2"}), id="an emptied client"),
    pytest.param(
        "commit_index", SERVER, replace(SERVER, numbers={"raft.commit_index": 0, "raft.applied_index": 90}), id="fresh"
    ),
    pytest.param(
        "applied_index",
        SERVER,
        replace(SERVER, numbers={"raft.commit_index": 91, "raft.applied_index": 40}),
        id="it applies its log again",
    ),
    pytest.param("raft_state", SHUT_DOWN, SERVER, id="raft runs again"),
    pytest.param(
        "member_status",
        replace(SERVER, member=Member("s1.global", "left")),
        replace(SERVER, member=Member("s1.global", "alive")),
        id="a server that left is alive",
    ),
    pytest.param("heartbeat_ttl", CLIENT, UNREGISTERED, id="a client that registers again"),
]


@pytest.mark.parametrize(("name", "before", "now"), RESTARTED)
def test_a_trace_of_a_restart_is_a_proof(name: str, before: AgentSelf, now: AgentSelf) -> None:
    assert proved(before, now) == (name,)


def test_every_proof_was_seen_alone() -> None:
    assert {parameters.values[0] for parameters in RESTARTED} == PROOFS.keys()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param(SERVER, SERVER, id="nothing changed"),
        pytest.param(
            SERVER, replace(SERVER, numbers={"raft.commit_index": 95, "raft.applied_index": 92}), id="it grew"
        ),
        pytest.param(SERVER, own(), id="the second lacks everything"),
        pytest.param(own(), SERVER, id="the first lacks everything"),
        pytest.param(SERVER, SHUT_DOWN, id="raft is shut down"),
        pytest.param(UNREGISTERED, CLIENT, id="a client registered"),
        pytest.param(UNREGISTERED, UNREGISTERED, id="a client did not register yet"),
        pytest.param(CLIENT, replace(CLIENT, numbers={}), id="a client whose TTL could not be read"),
        pytest.param(
            SERVER, replace(SERVER, member=Member("s1.global", "leaving", id="id-1")), id="its status is another one"
        ),
    ],
)
def test_what_happens_while_an_agent_lives_proves_nothing(before: AgentSelf, now: AgentSelf) -> None:
    assert proved(before, now) == ()


@given(st.sampled_from(RAFT_STATES), st.sampled_from([state for state in RAFT_STATES if state != "Shutdown"]))
def test_an_election_proves_nothing(after: str, before: str) -> None:
    answers = [replace(SERVER, texts={"raft.state": state}) for state in (before, after)]

    assert proved(*answers) == ()


@pytest.mark.parametrize(("refused_at", "found"), [(-1.0, ("refused",)), (0.0, ("refused",)), (0.5, ())])
def test_a_refused_attempt_proves_a_restart_once_an_answer_is_asked_for_after_it(
    refused_at: float, found: tuple[str, ...]
) -> None:
    assert proofs(SERVER, SERVER, START, START + refused_at) == found


def test_all_proofs_of_one_restart_are_told_together() -> None:
    fresh = replace(SERVER, version="2.0.6", numbers={"raft.commit_index": 0, "raft.applied_index": 0})

    assert proofs(SERVER, fresh, START, START) == ("version", "commit_index", "applied_index", "refused")


# Real agents.

WHILE_ALL_OTHERS_DIED = (
    "healthy",
    "failed-follower",
    "leader-just-died",
    "no-leader",
    "no-leader-for-long",
    "recovered",
)
"""Scenarios in the order in which they were recorded, during which one server and one client were never restarted."""

SURVIVORS = {"1.2.16": "s3", "1.6.10": "s2", "1.10.5": "s2", "2.0.5": "s3"}


def told(version: str, agent: str) -> list[AgentSelf]:
    """What an agent said of itself while all others died and came back."""
    names = [one.name for one in situations() if one.name.startswith(f"{version}/") and SELF_PATH in one.answers]
    return [
        of(name)
        for scenario in WHILE_ALL_OTHERS_DIED
        for name in names
        if name.startswith(f"{version}/{scenario}/{agent}")
    ]


@pytest.mark.parametrize(("version", "server"), SURVIVORS.items())
def test_a_real_agent_that_lived_while_all_others_died_proves_nothing(version: str, server: str) -> None:
    servers, clients = told(version, server), told(version, "c1")

    assert (len(servers), len(clients)) == (6, 5)
    assert [proved(*two) for told_in_a_row in (servers, clients) for two in pairwise(told_in_a_row)] == [()] * 9


@pytest.mark.parametrize("version", SURVIVORS)
def test_a_real_agent_that_starts_again_proves_it_by_all_that_it_forgot(version: str) -> None:
    before, now = of(f"{version}/single/bacon-mac"), of(f"{version}/single-starting/bacon-mac")

    assert proved(before, now) == ("commit_index", "applied_index", "heartbeat_ttl")
