"""The status page as text."""

from __future__ import annotations

import pytest

from nomad_exporter.metrics.render import Rendered
from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF, SOURCES
from nomad_exporter.polling.store import Store
from tests.support.pages import NOW, agent, failed, fleet, get, handle, recorded, site_of, store_of

LEADER = [recorded(source, "2.0.5/healthy/s2-leader") for source in SOURCES]
CLIENT = [recorded(source, "2.0.5/healthy/c1-client") for source in (HEALTH, SELF)]


def lines_of(store: Store[Rendered], target: str = "/", accept: str = "*/*") -> list[str]:
    response = handle(site_of(store), get(target, accept=accept), NOW)
    assert (response.status_code, response.media_type.partition(";")[0]) == (200, "text/plain")
    assert response.headers["Vary"] == "Accept"
    return response.body.decode().splitlines()


@pytest.mark.parametrize("accept", ["*/*", "", "application/json", "text/plain"])
def test_clients_other_than_browsers_receive_lines(accept: str) -> None:
    assert lines_of(store_of(*CLIENT), accept=accept) == ["OK a1 ready: The client is ready."]


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_browsers_receive_html(accept: str) -> None:
    response = handle(site_of(store_of(*CLIENT)), get("/", accept=accept), NOW)

    assert response.media_type.startswith("text/html")
    assert response.headers["Vary"] == "Accept"


def test_cluster_has_the_first_line() -> None:
    first, *_ = lines_of(store_of(*LEADER))

    assert first.startswith("Cluster default/global: ")


def test_worst_agent_comes_first_and_remedies_last() -> None:
    store = fleet("c1", "c2", "c3")
    for reading in CLIENT:
        store.record(agent("c1"), reading)
    for source in (HEALTH, SELF, MEMBERS):
        store.record(agent("c2"), failed(source))
    *lines, remedy, other = [line for line in lines_of(store) if not line.startswith("Cluster ")]

    assert [line.split(" ready: ")[0] for line in lines] == ["CRITICAL c2", "UNKNOWN c3", "OK c1"]
    assert remedy.startswith("  Remedy for c2: ")
    assert other.startswith("  Remedy for c3: ")


def test_rejected_token_is_unknown_as_in_a_check() -> None:
    store = store_of(*(failed(source, FailureReason.UNAUTHORIZED, "HTTP 403") for source in (HEALTH, SELF)))

    assert next(line for line in lines_of(store) if " ready: " in line).startswith("UNKNOWN a1 ready: ")


def test_text_selects_agents() -> None:
    store = fleet("c1", "c2")

    assert lines_of(store, "/?agent=c2")[0].startswith("UNKNOWN c2 ready: ")
    assert handle(site_of(store), get("/?agent=c3"), NOW).status_code == 404
