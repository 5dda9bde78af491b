"""Every incident is played on the demo's own processes and sockets, and told by the exporter as its story says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from urllib.parse import urlsplit

import pytest
from urllib3 import HTTPConnectionPool

from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.scenario import Incident, Requirements
from tests.support.demo import running_demo
from tests.support.incident_checks import INTERVAL, PACE, IncidentCheck
from tests.support.scraping import Page, page
from tests.support.waiting import PATIENCE, eventually

AT_ONCE = 4
"""So many demos are played at a time."""


def arguments(needs: Requirements) -> list[str]:
    """The command line of a demo on which the incident can be played."""
    flags = [flag for flag, wanted in (("--acl", needs.acl), ("--tls", needs.tls)) if wanted]
    size = ("--clients", str(needs.clients), "--regions", str(needs.regions), "--version", needs.versions[0])
    return [*size, "--pace", str(PACE), "--interval", str(INTERVAL), *flags]


def all_ready(seen: Page) -> bool:
    return all(value == 1 for _, value in seen.samples["nomad_agent_ready"])


def played(incident: Incident) -> None:
    """Plays all steps, one after the other, and checks each against its story."""
    with running_demo(*arguments(incident.requirements)) as demo:
        address = urlsplit(demo.exporter)
        pool = HTTPConnectionPool(address.hostname or "", address.port, timeout=PATIENCE, retries=False)
        with pool:
            eventually(lambda: all_ready(page(pool)))
            watch = IncidentCheck(demo, incident, pool, page(pool))
            for number, step in enumerate(incident.steps, 1):
                watch.run_step(number, step)
            assert not incident.strict or watch.phases == {"calm", "uneasy"}


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """Every incident whose test is to run, several at a time."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    chosen = [call.params["incident"] for call in calls if call]
    longest_first = sorted(chosen, key=lambda incident: len(incident.steps), reverse=True)
    executor = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {incident.name: executor.submit(played, incident) for incident in longest_first}
    finally:
        executor.shutdown(cancel_futures=True)


def goes_on(line: str) -> bool:
    return not line.startswith(("token-revoked is over", "token-revoked cannot go on"))


@pytest.mark.usefixtures("plays")  # So that they begin meanwhile.
def test_an_incident_that_was_asked_for_plays_by_itself_and_tells_what_happens() -> None:
    with running_demo("--incident", "token-revoked", "--pace", "100") as demo:
        assert demo.process.stdout
        told = list(takewhile(goes_on, (line.rstrip() for line in demo.process.stdout)))

    assert demo.banner_value("monitoring token")
    assert "  revoke" in told
    assert [line for line in told if line.endswith(":")] == [
        "token-revoked, step 1 of 2:",
        "token-revoked, step 2 of 2:",
    ]
    assert any("live ok, ready poll_error, quorum unknown" in line for line in told)


@pytest.mark.parametrize("incident", INCIDENTS.values(), ids=lambda incident: incident.name)
def test_the_exporter_tells_an_incident_as_its_story_says(incident: Incident, plays: dict[str, Future[None]]) -> None:
    plays[incident.name].result()
