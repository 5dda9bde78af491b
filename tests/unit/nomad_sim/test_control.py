"""The demo's own page: what is asked of it, and who may ask."""

from __future__ import annotations

import asyncio

import pytest

from nomad_sim.control import is_cross_site
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.model.agents import State
from tests.support.sim_harness import SimHarness, run_with_harness

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
OWN = "http://127.0.0.1:14640"


def test_for_curl_it_is_a_line_for_each_agent_and_what_can_be_done() -> None:
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
        assert "ACTION is one of kill, start," in reply.text
        assert (await harness.ask("HEAD", "/")).text == ""

    run_with_harness(scenario)


def test_a_browser_is_given_a_page_that_lets_nothing_in() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("GET", "/", accept=BROWSER)

        assert reply.status == 200
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert reply.text.startswith("<!doctype html>")
        assert "<script" not in reply.text

    run_with_harness(scenario)


def test_a_deed_is_done_and_told_by_the_line_of_the_agent() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/s2.global/kill")

        assert reply.status == 200
        assert reply.text.split()[:3] == ["s2.global", "server", "dead"]
        assert harness.cluster.world.agents["s2.global"].state is State.DEAD

    run_with_harness(scenario)


def test_a_button_leads_back_to_the_page() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/c1/pause", accept=BROWSER, origin=OWN)

        assert (reply.status, reply.headers["location"], reply.text) == (303, "/", "")
        assert harness.cluster.world.agents["c1"].state is State.PAUSED

    run_with_harness(scenario)


def test_what_cannot_be_done_now_is_told_and_a_browser_sees_it_above_the_page() -> None:
    async def scenario(harness: SimHarness) -> None:
        result = await harness.ask("POST", "/c1/start")
        output = await harness.ask("POST", "/c1/start", accept=BROWSER, origin=OWN)

        assert (result.status, result.text) == (409, "c1 is running\n")
        assert output.status == 409
        assert '<aside class="no">c1 is running\n</aside>' in output.text

    run_with_harness(scenario)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/nobody/kill", "there is no agent of this name, only s1.global,"),
        ("/c1/dance", "that can not be done, only kill,"),
        ("/c1", "that can not be done"),
        ("/c1/kill/1", "there is nothing of this name"),
        ("/incidents/leader-killed/1/2", "there is nothing of this name"),
        ("/incidents/fire", "there is no incident of this name, only leader-killed,"),
        ("/incidents/leader-killed/0", "leader-killed has the steps 1 to 3"),
        ("/incidents/leader-killed/4", "leader-killed has the steps 1 to 3"),
        ("/incidents/leader-killed/one", "leader-killed has the steps 1 to 3"),
    ],
)
def test_what_is_not_there_is_404_with_what_there_is(path: str, fields: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", path)

        assert reply.status == 404
        assert reply.text.startswith(fields)

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
def test_a_page_is_only_got_and_a_deed_only_posted(method: str, path: str) -> None:
    async def scenario(harness: SimHarness) -> None:
        assert (await harness.ask(method, path)).status == 405
        assert harness.cluster.world.agents["c1"].state is State.RUNNING

    run_with_harness(scenario)


def test_incidents_are_listed_with_how_far_the_last_one_is() -> None:
    async def scenario(harness: SimHarness) -> None:
        before = await harness.ask("GET", "/incidents")
        run_incident = await harness.ask("POST", "/incidents/leader-killed/1")
        after = await harness.ask("GET", "/incidents")

        assert [line.split()[0] for line in before.text.partition("\n\n")[0].splitlines()] == list(INCIDENTS)
        assert before.text.endswith("\n\nnone was played yet\n")
        assert run_incident.status == 200
        assert run_incident.text.startswith("leader-killed, step 1 of 3:\n")
        assert "\n  as leader s" in run_incident.text
        assert after.text.endswith(run_incident.text)

    run_with_harness(scenario)


def test_a_whole_incident_is_begun_and_another_has_to_wait() -> None:
    async def scenario(harness: SimHarness) -> None:
        started = await harness.ask("POST", "/incidents/leader-killed")
        refused = await harness.ask("POST", "/incidents/quorum-lost/1")

        assert (started.status, started.text.partition(";")[0]) == (200, "leader-killed is played")
        assert (refused.status, refused.text) == (409, "leader-killed is being played\n")

    run_with_harness(scenario, pace=0.1)


def test_an_incident_that_the_cluster_is_not_made_for_is_409_with_what_is_lacking() -> None:
    async def scenario(harness: SimHarness) -> None:
        reply = await harness.ask("POST", "/incidents/region-lost")

        assert (reply.status, reply.text) == (409, "region-lost needs 2 regions\n")

    run_with_harness(scenario)


def test_another_site_can_do_nothing() -> None:
    async def scenario(harness: SimHarness) -> None:
        for path in ("/c1/kill", "/incidents/leader-killed", "/incidents/leader-killed/1"):
            reply = await harness.ask("POST", path, origin="http://elsewhere.example.org", accept=BROWSER)

            assert reply.status == 403
        await asyncio.sleep(0)
        assert all(agent.is_running for agent in harness.cluster.world.agents.values())
        assert not harness.runner.is_running

    run_with_harness(scenario)


@pytest.mark.parametrize(
    ("foreign", "headers"),
    [
        pytest.param(False, {"host": "demo.example.org"}, id="curl"),
        pytest.param(False, {"host": "127.0.0.1:1", "origin": "http://127.0.0.1:1"}, id="its own page"),
        pytest.param(False, {"host": "localhost:1", "origin": "http://localhost:1"}, id="its own page as localhost"),
        pytest.param(False, {"host": "[::1]:1", "origin": "http://[::1]:1"}, id="its own page by IPv6"),
        pytest.param(False, {"host": "127.0.0.1:1", "sec-fetch-site": "same-origin"}, id="its own page, said so"),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "http://127.0.0.1:2"}, id="another port"),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "https://127.0.0.1:1"}, id="another scheme"),
        pytest.param(True, {"host": "127.0.0.1:1", "origin": "null"}, id="a page that hides who it is"),
        pytest.param(True, {"origin": "http://"}, id="no host at all"),
        pytest.param(True, {"host": "a.example:1", "origin": "http://a.example:1"}, id="a name that was bound anew"),
        pytest.param(True, {"host": "127.0.0.1:1", "sec-fetch-site": "cross-site"}, id="another site, said so"),
        pytest.param(True, {"host": "127.0.0.1:1", "sec-fetch-site": "same-site"}, id="another port, said so"),
    ],
)
def test_a_browser_tells_whose_page_it_was(foreign: bool, headers: dict[str, str]) -> None:
    assert is_cross_site(headers) is foreign
