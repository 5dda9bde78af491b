"""Which agents a request is about."""

from __future__ import annotations

import pytest

from nomad_exporter.web.http import Response, text
from nomad_exporter.web.selection import select_agent, select_agents
from tests.support.pages import fleet, get

FLEET = fleet("a1", "a2", "a3")


def names(target: str) -> list[str]:
    agents = select_agents(FLEET, get(target))
    assert not isinstance(agents, Response)
    return [kept.snapshot.agent.name for kept in agents]


@pytest.mark.parametrize(
    ("target", "agents"),
    [
        pytest.param("/metrics", ["a1", "a2", "a3"], id="none-named"),
        pytest.param("/metrics?agents=a1", ["a1", "a2", "a3"], id="another-parameter"),
        pytest.param("/metrics?agent=a2", ["a2"], id="one"),
        pytest.param("/metrics?agent=a3&agent=a1", ["a3", "a1"], id="as-they-were-named"),
        pytest.param("/metrics?agent=a1&agent=a2&agent=a1", ["a1", "a2"], id="each-once"),
    ],
)
def test_the_agents_that_are_named_are_chosen_or_else_all(target: str, agents: list[str]) -> None:
    assert names(target) == agents


@pytest.mark.parametrize(
    ("target", "line"),
    [
        pytest.param("/metrics?agent=b1", "no agent has the name 'b1'; known: a1, a2, a3", id="unknown"),
        pytest.param("/metrics?agent=a1&agent=b1", "no agent has the name 'b1'; known: a1, a2, a3", id="one-of-two"),
        pytest.param("/metrics?agent=", "no agent has the name ''; known: a1, a2, a3", id="empty"),
        pytest.param("/metrics?agent=A1", "no agent has the name 'A1'; known: a1, a2, a3", id="capitals"),
    ],
)
def test_a_name_that_is_not_known_is_404_with_those_that_are(target: str, line: str) -> None:
    assert select_agents(FLEET, get(target)) == text(404, line)


def test_of_a_big_fleet_only_the_first_names_are_told() -> None:
    known = [f"n{number}" for number in range(21)]

    all_told, cut_off = (select_agents(fleet(*names), get("/metrics?agent=b1")) for names in (known[:20], known))

    told = "no agent has the name 'b1'; known: " + ", ".join(known[:20])
    assert all_told == text(404, told)
    assert cut_off == text(404, f"{told}, …")


def test_an_agent_that_is_alone_needs_no_name() -> None:
    kept = select_agent(fleet("a1"), get("/health"))

    assert not isinstance(kept, Response)
    assert kept.snapshot.agent.name == "a1"


def test_one_of_several_agents_is_found_by_its_name() -> None:
    kept = select_agent(FLEET, get("/health?agent=a2"))

    assert not isinstance(kept, Response)
    assert kept.snapshot.agent.name == "a2"


@pytest.mark.parametrize("target", ["/health", "/health?agent=a1&agent=a2"])
def test_where_one_agent_is_meant_and_several_could_be_it_is_400_with_their_names(target: str) -> None:
    assert select_agent(FLEET, get(target)) == text(400, "name one agent with ?agent=; known: a1, a2, a3")


def test_where_one_agent_is_meant_an_unknown_one_is_404_all_the_same() -> None:
    response = select_agent(FLEET, get("/health?agent=b1"))

    assert isinstance(response, Response)
    assert response.status == 404
