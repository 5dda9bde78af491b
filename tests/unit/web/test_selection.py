"""Selection of agents by ``?agent=NAME``."""

from __future__ import annotations

import pytest

from nomad_exporter.web.http import Response, text
from nomad_exporter.web.selection import select_agent, select_agents
from tests.support.pages import fleet, get

FLEET = fleet("a1", "a2", "a3")


def names(target: str) -> list[str]:
    entries = select_agents(FLEET, get(target))
    assert not isinstance(entries, Response)
    return [entry.snapshot.agent.name for entry in entries]


@pytest.mark.parametrize(
    ("target", "agents"),
    [
        pytest.param("/metrics", ["a1", "a2", "a3"], id="none-named"),
        pytest.param("/metrics?agents=a1", ["a1", "a2", "a3"], id="another-parameter"),
        pytest.param("/metrics?agent=a2", ["a2"], id="one"),
        pytest.param("/metrics?agent=a3&agent=a1", ["a3", "a1"], id="in-the-given-order"),
        pytest.param("/metrics?agent=a1&agent=a2&agent=a1", ["a1", "a2"], id="each-once"),
    ],
)
def test_named_agents_or_all_are_selected(target: str, agents: list[str]) -> None:
    assert names(target) == agents


@pytest.mark.parametrize(
    ("target", "line"),
    [
        pytest.param("/metrics?agent=b1", "unknown agent 'b1' (known: a1, a2, a3)", id="unknown"),
        pytest.param("/metrics?agent=a1&agent=b1", "unknown agent 'b1' (known: a1, a2, a3)", id="one-of-two"),
        pytest.param("/metrics?agent=", "unknown agent '' (known: a1, a2, a3)", id="empty"),
        pytest.param("/metrics?agent=A1", "unknown agent 'A1' (known: a1, a2, a3)", id="capitals"),
    ],
)
def test_unknown_name_is_404_with_the_known_names(target: str, line: str) -> None:
    assert select_agents(FLEET, get(target)) == text(404, line)


def test_number_of_known_names_in_an_error_is_limited() -> None:
    known = [f"n{number}" for number in range(21)]

    complete, truncated = (select_agents(fleet(*names), get("/metrics?agent=b1")) for names in (known[:20], known))

    listed = ", ".join(known[:20])
    assert complete == text(404, f"unknown agent 'b1' (known: {listed})")
    assert truncated == text(404, f"unknown agent 'b1' (known: {listed}, …)")


def test_only_agent_is_selected_without_a_name() -> None:
    entry = select_agent(fleet("a1"), get("/health"))

    assert not isinstance(entry, Response)
    assert entry.snapshot.agent.name == "a1"


def test_agent_is_selected_by_name() -> None:
    entry = select_agent(FLEET, get("/health?agent=a2"))

    assert not isinstance(entry, Response)
    assert entry.snapshot.agent.name == "a2"


@pytest.mark.parametrize("target", ["/health", "/health?agent=a1&agent=a2"])
def test_ambiguous_selection_is_400_with_the_known_names(target: str) -> None:
    assert select_agent(FLEET, get(target)) == text(400, "select one agent with ?agent=NAME (known: a1, a2, a3)")


def test_unknown_name_of_one_agent_is_404() -> None:
    response = select_agent(FLEET, get("/health?agent=b1"))

    assert isinstance(response, Response)
    assert response.status == 404
