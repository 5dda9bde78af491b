"""Every incident, run by a demo as a process: the exporter meets the expectations of each step."""

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
from tests.support.profiles import share
from tests.support.scraping import Page, page
from tests.support.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # A test may wait for the demos of others.

PARALLEL_DEMOS = 2
"""The number of demos that run at the same time."""


def arguments(requirements: Requirements) -> list[str]:
    """Return the command line of a demo that can run the incident."""
    flags = [flag for flag, required in (("--acl", requirements.acl), ("--tls", requirements.tls)) if required]
    size = (
        "--clients",
        str(requirements.clients),
        "--regions",
        str(requirements.regions),
        "--version",
        requirements.versions[0],
    )
    return [*size, "--pace", str(PACE), "--interval", str(INTERVAL), *flags]


def all_ready(scraped: Page) -> bool:
    return all(value == 1 for _, value in scraped.samples["nomad_agent_ready"])


def run_all_steps(incident: Incident) -> None:
    """Run all steps and check the expectations of each."""
    with running_demo(*arguments(incident.requirements)) as demo:
        address = urlsplit(demo.exporter)
        pool = HTTPConnectionPool(address.hostname or "", address.port, timeout=PATIENCE, retries=False)
        with pool:
            eventually(lambda: all_ready(page(pool)), patience=3 * PATIENCE)  # Demos start slowly on a busy machine.
            check = IncidentCheck(demo, incident, pool, page(pool))
            for number, step in enumerate(incident.steps, 1):
                check.run_step(number, step)
            assert not incident.strict or check.phases == {"calm", "degraded"}


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """Start every incident whose test is selected, several at a time; return the results by name."""
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    selected = [call.params["incident"] for call in calls if call]
    longest_first = sorted(selected, key=lambda incident: len(incident.steps), reverse=True)
    executor = ThreadPoolExecutor(PARALLEL_DEMOS)
    try:
        yield {incident.name: executor.submit(run_all_steps, incident) for incident in longest_first}
    finally:
        executor.shutdown(cancel_futures=True)


def is_progress(line: str) -> bool:
    return not line.startswith(("token-revoked is complete", "token-revoked stopped"))


@pytest.mark.usefixtures("runs")  # The other incidents start meanwhile.
def test_incident_of_command_line_prints_its_steps() -> None:
    with running_demo("--incident", "token-revoked", "--pace", str(PACE)) as demo:
        assert demo.process.stdout
        lines = list(takewhile(is_progress, (line.rstrip() for line in demo.process.stdout)))

    assert demo.banner_value("monitoring token")
    assert "  revoke-token" in lines
    assert [line for line in lines if line.endswith(":")] == [
        "token-revoked, step 1 of 2:",
        "token-revoked, step 2 of 2:",
    ]
    assert any("live ok, ready poll_error, quorum unknown" in line for line in lines)


@pytest.mark.parametrize("incident", share(INCIDENTS.values()), ids=lambda incident: incident.name)
def test_exporter_meets_expectations_of_incident(incident: Incident, runs: dict[str, Future[None]]) -> None:
    runs[incident.name].result()
