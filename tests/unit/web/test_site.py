"""The site: selection of agents by ``?agent=NAME``."""

from __future__ import annotations

import pytest

from nomad_exporter.server.http import HTTPError
from nomad_exporter.web.site import select_agent, select_agents
from tests.support.pages import fleet, get, site_of

FLEET = site_of(fleet("a1", "a2", "a3"))


def names(target: str) -> list[str]:
    return [entry.snapshot.agent.name for entry in select_agents(FLEET, get(target))]


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
    with pytest.raises(HTTPError) as raised:
        select_agents(FLEET, get(target))

    assert (raised.value.status_code, raised.value.detail) == (404, line)


@pytest.mark.parametrize(("number", "end"), [(20, "n19)"), (21, "n19, …)")])
def test_number_of_known_names_in_an_error_is_limited(number: int, end: str) -> None:
    known = [f"n{index}" for index in range(number)]

    with pytest.raises(HTTPError) as raised:
        select_agents(site_of(fleet(*known)), get("/metrics?agent=b1"))

    listed = ", ".join(known[:19])
    assert raised.value.detail == f"unknown agent 'b1' (known: {listed}, {end}"


def test_only_agent_is_selected_without_a_name() -> None:
    assert select_agent(site_of(fleet("a1")), get("/health")).snapshot.agent.name == "a1"


def test_agent_is_selected_by_name() -> None:
    assert select_agent(FLEET, get("/health?agent=a2")).snapshot.agent.name == "a2"


@pytest.mark.parametrize("target", ["/health", "/health?agent=a1&agent=a2"])
def test_ambiguous_selection_is_400_with_the_known_names(target: str) -> None:
    with pytest.raises(HTTPError) as raised:
        select_agent(FLEET, get(target))

    assert (raised.value.status_code, raised.value.detail) == (
        400,
        "select one agent with ?agent=NAME (known: a1, a2, a3)",
    )


def test_unknown_name_of_one_agent_is_404() -> None:
    with pytest.raises(HTTPError) as raised:
        select_agent(FLEET, get("/health?agent=b1"))

    assert raised.value.status_code == 404
