"""Identity: one agent, its successor, or several agents behind one address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_exporter.nomad.models import AgentSelf, Member, Role
from nomad_exporter.nomad.sources import SELF
from nomad_exporter.polling.identity import MAX_IDS, RECOVERY_ANSWERS, Identity, agent_id
from tests.support.answers import recorded, self_answer


def server(name: str) -> AgentSelf:
    return self_answer(member=Member("s1.global", id=name))


def client(name: str) -> AgentSelf:
    return self_answer(Role.CLIENT, texts={"client.node_id": name})


def after(*answers: AgentSelf) -> Identity:
    identity = Identity()
    for answer in answers:
        identity = identity.after(answer)
    return identity


def after_ids(ids: Iterable[str]) -> Identity:
    """Return the identity after one answer of a server for each of ``ids``."""
    return after(*map(server, ids))


def confirmed_id(ids: Iterable[str]) -> str | None:
    """Return the ID of the agent that is confirmed after these answers."""
    confirmed = after_ids(ids).confirmed
    return agent_id(confirmed) if confirmed else None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(server("s-1"), "s-1", id="server"),
        pytest.param(client("n-1"), "n-1", id="client"),
        pytest.param(
            replace(server("s-1"), roles=frozenset(Role), texts={"client.node_id": "n-1"}), "s-1", id="both roles"
        ),
        pytest.param(self_answer(Role.SERVER), "", id="server without a member"),
        pytest.param(self_answer(Role.CLIENT), "", id="client without a node"),
        pytest.param(
            self_answer(*Role, texts={"client.node_id": "n-1"}), "", id="both roles, without the ID of the server"
        ),
    ],
)
def test_server_has_its_member_id_and_client_its_node_id(answer: AgentSelf, expected: str) -> None:
    assert agent_id(answer) == expected


@pytest.mark.parametrize("name", ["2.0.5/healthy/s2-leader", "2.0.5/healthy/c1-client", "1.2.16/single/bacon-mac"])
def test_recorded_agent_has_an_id(name: str) -> None:
    answer = SELF.read(recorded(name))

    assert isinstance(answer, AgentSelf)
    assert len(agent_id(answer)) == 36


@pytest.mark.parametrize(
    ("ids", "confirmed"),
    [
        ("A", "A"),
        ("AAA", "A"),
        pytest.param("AB", "A", id="one answer of another agent proves nothing"),
        pytest.param("ABB", "B", id="two answers confirm the successor"),
        pytest.param("ABC", "A", id="no agent answers twice"),
        pytest.param("ABCC", "C", id="successor after an agent that answered once"),
        pytest.param("ABBCC", "C", id="second successor"),
    ],
)
def test_successor_is_confirmed_by_its_second_answer(ids: str, confirmed: str) -> None:
    assert confirmed_id(ids) == confirmed
    assert not after_ids(ids).has_several


@pytest.mark.parametrize("ids", ["ABA", "ABCA", "ABCAB", "AABBA", "ABBA", "AAABAAA"])
def test_returning_id_shows_several_agents(ids: str) -> None:
    identity = after_ids(ids)

    assert identity.has_several
    assert identity.confirmed is None
    assert set(identity.ids) == set(ids)


def test_confirmed_answer_is_the_newest_of_the_agent() -> None:
    first, second, other = server("A"), server("A"), server("B")

    assert after(first, second).confirmed is second
    assert after(first, second, other).confirmed is second


def test_one_agent_is_left_after_enough_answers_in_a_row() -> None:
    shared = "ABA"  # The last answer is the first of the row.

    assert after_ids(shared + "A" * (RECOVERY_ANSWERS - 2)).has_several
    assert confirmed_id(shared + "A" * (RECOVERY_ANSWERS - 1)) == "A"


def test_another_agent_interrupts_the_recovery() -> None:
    almost = "ABA" + "A" * (RECOVERY_ANSWERS - 2)

    assert after_ids(almost + "B" + "A" * (RECOVERY_ANSWERS - 1)).has_several
    assert not after_ids(almost + "B" + "A" * RECOVERY_ANSWERS).has_several


def test_new_agent_can_be_the_one_that_is_left() -> None:
    assert confirmed_id("ABA" + "C" * RECOVERY_ANSWERS) == "C"


def test_returning_id_is_noticed_after_a_recovery() -> None:
    assert after_ids("ABA" + "A" * RECOVERY_ANSWERS + "B").has_several


def test_answer_without_id_proves_nothing() -> None:
    unnamed = self_answer()

    assert after(unnamed, unnamed).confirmed is unnamed
    assert after(server("A"), unnamed).ids == ("A",)
    assert not after(server("A"), unnamed, server("A")).has_several
    assert after(server("A"), server("B"), server("A"), unnamed).has_several


@given(st.lists(st.integers(0, 40), max_size=80))
def test_few_ids_are_remembered(numbers: list[int]) -> None:
    identity = after_ids(map(str, numbers))

    assert len(identity.ids) <= MAX_IDS
    assert len(set(identity.ids)) == len(identity.ids)


@given(st.text("ABC", min_size=1, max_size=30))
def test_confirmed_agent_has_answered_last_or_nothing_is_confirmed_since(ids: str) -> None:
    identity = after_ids(ids)

    assert (identity.confirmed is None) == identity.has_several
    if ids[-2:-1] == ids[-1] and not identity.has_several:
        assert confirmed_id(ids) == ids[-1]
