"""The control page: its requests, its responses, and the sites that may send requests."""

from __future__ import annotations

import asyncio

import pytest

from nomad_sim.control import is_cross_site
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.model.agents import State
from tests.support.sim_harness import SimHarness, run_with_harness

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
OWN = "http://127.0.0.1:14640"


def test_text_page_lists_agents_and_requests() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("GET", "/")

        assert reply.status == 200
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.headers["cache-control"] == "no-store"
        assert [line.split()[0] for line in reply.text.splitlines()[:4]] == [
            "s1.global",
            "s2.global",
            "s3.global",
            "c1",
        ]
        assert reply.text.splitlines()[3].split()[1:3] == ["client", "running"]
        assert "\nFaults: kill, start," in reply.text
        assert (await harness.ask("HEAD", "/")).text == ""

    run_with_harness(scenario)


def test_browser_gets_page_with_security_headers() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("GET", "/", accept=BROWSER)

        assert reply.status == 200
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert reply.text.startswith("<!doctype html>")
        assert "<script" not in reply.text

    run_with_harness(scenario)


def test_fault_returns_line_of_agent() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/s2.global/kill")

        assert reply.status == 200
        assert reply.text.split()[:3] == ["s2.global", "server", "dead"]
        assert harness.cluster.world.agents["s2.global"].state is State.DEAD

    run_with_harness(scenario)


def test_button_redirects_to_page() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/c1/pause", accept=BROWSER, origin=OWN)

        assert (reply.status, reply.headers["location"], reply.text) == (303, "/", "")
        assert harness.cluster.world.agents["c1"].state is State.PAUSED

    run_with_harness(scenario)


def test_conflict_is_shown_as_text_and_in_browser() -> None:
    async def scenario(harness: SimHarness) -> None:
        plain = await harness.ask("POST", "/c1/start")
        browser = await harness.ask("POST", "/c1/start", accept=BROWSER, origin=OWN)

        assert (plain.status, plain.text) == (409, "c1 is running\n")
        assert browser.status == 409
        assert '<aside class="error">c1 is running\n</aside>' in browser.text

    run_with_harness(scenario)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nobody/kill", "no agent named 'nobody'; use one of s1.global,"),
        ("/c1/dance", "no fault named 'dance'; use one of kill,"),
        ("/c1", "no fault named ''; use one of kill,"),
        ("/c1/kill/1", "not found"),
        ("/incidents/leader-killed/1/2", "not found"),
        ("/incidents/fire", "no incident named 'fire'; use one of leader-killed,"),
        ("/incidents/leader-killed/0", "leader-killed has steps 1 to 3 (got '0')"),
        ("/incidents/leader-killed/4", "leader-killed has steps 1 to 3 (got '4')"),
        ("/incidents/leader-killed/one", "leader-killed has steps 1 to 3 (got 'one')"),
    ],
)
def test_unknown_path_returns_404_with_known_names(path: str, message: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", path)

        assert reply.status == 404
        assert reply.text.startswith(message)

    run_with_harness(scenario)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("POST", "/incidents"),
        ("GET", "/c1/kill"),
        ("PUT", "/c1/kill"),
        ("GET", "/incidents/leader-killed"),
    ],
)
def test_wrong_method_returns_405(method: str, path: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        assert (await harness.ask(method, path)).status == 405
        assert harness.cluster.world.agents["c1"].state is State.RUNNING

    run_with_harness(scenario)


def test_incidents_are_listed_with_progress() -> None:
    async def scenario(harness: SimHarness) -> None:
        before = await harness.ask("GET", "/incidents")
        step = await harness.ask("POST", "/incidents/leader-killed/1")
        after = await harness.ask("GET", "/incidents")

        assert [line.split()[0] for line in before.text.partition("\n\n")[0].splitlines()] == list(INCIDENTS)
        assert before.text.endswith("\n\nno incident has run yet\n")
        assert step.status == 200
        assert step.text.startswith("leader-killed, step 1 of 3:\n")
        assert "\n  roles: leader s" in step.text
        assert after.text.endswith(step.text)

    run_with_harness(scenario)


def test_only_one_incident_runs_at_a_time() -> None:
    async def scenario(harness: SimHarness) -> None:
        started = await harness.ask("POST", "/incidents/leader-killed")
        refused = await harness.ask("POST", "/incidents/quorum-lost/1")

        assert (started.status, started.text.partition(";")[0]) == (200, "leader-killed is running")
        assert (refused.status, refused.text) == (409, "leader-killed is running\n")

    run_with_harness(scenario, pace=0.1)


def test_unsuitable_cluster_returns_409_with_requirements() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/incidents/region-lost")

        assert (reply.status, reply.text) == (409, "region-lost requires 2 or more regions\n")

    run_with_harness(scenario)


def test_cross_site_requests_change_nothing() -> None:
    async def scenario(harness: SimHarness) -> None:
        for path in ("/c1/kill", "/incidents/leader-killed", "/incidents/leader-killed/1"):
            reply = await harness.ask("POST", path, origin="http://elsewhere.example.org", accept=BROWSER)

            assert reply.status == 403
        await asyncio.sleep(0)
        assert all(agent.is_running for agent in harness.cluster.world.agents.values())
        assert not harness.runner.is_running

    run_with_harness(scenario)


@pytest.mark.parametrize(
    ("cross_site", "headers"),
    [
        pytest.param(False, {"host": "demo.example.org"}, id="curl"),
        pytest.param(False, {"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1"}, id="own page"),
        pytest.param(False, {"host": "localhost:1", "origin": "http://localhost:1"}, id="own page as localhost"),
        pytest.param(False, {"host": "[::1]:1", "origin": "http://[::1]:1"}, id="own page by IPv6"),
        pytest.param(
            False, {"host": "127.0.0.1:1", "sec-fetch-site": "same-origin"}, id="own page, named by the browser"
        ),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "http://127.0.0.1:2"}, id="another port"),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "https://127.0.0.1:1"}, id="another scheme"),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "null"}, id="opaque origin"),
        pytest.param(True, {"origin": "http://"}, id="no host"),
        pytest.param(
            True, {"host": "a.example:1", "origin": "http://a.example:1"}, id="name that resolves to this machine"
        ),
        pytest.param(
            True, {"host": "127.0.0.1:1", "sec-fetch-site": "cross-site"}, id="another site, named by the browser"
        ),
        pytest.param(
            True, {"host": "127.0.0.1:1", "sec-fetch-site": "same-site"}, id="another port, named by the browser"
        ),
    ],
)
def test_cross_site_request_is_detected(cross_site: bool, headers: dict[str, str]) -> None:
    assert is_cross_site(headers) is cross_site
