"""Every documented request of Nomad's agent API, sent to the simulated cluster as one sends it with curl."""

from __future__ import annotations

import gzip
import json
import time
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import requests

from nomad_sim.api.acl import MANAGEMENT, MONITORING, Acl
from nomad_sim.api.routes import NomadApi
from nomad_sim.certificates import make_certificates
from nomad_sim.model.cluster import Cluster
from nomad_sim.model.timing import Timing
from nomad_sim.setup import Setup, Tls
from tests.support.clusters import client_setups, followers, leader, server_setups
from tests.support.sim_cluster import SimCluster, serve_cluster
from tests.support.sim_requests import MANAGER, MONITOR
from tests.support.waiting import PATIENCE, eventually

AGE, STEADY = 120.0, 30.0
"""Seconds ago that a cluster began, and after which it is steady; it has lived up to now as soon as it is asked."""


def api(*setups: Setup, acl: Acl | None = None, hold: float = 5.0) -> NomadApi:
    """A cluster that is steady, and is to live on to the present. A question is held for ``hold`` seconds."""
    begun = time.time() - AGE
    cluster = Cluster(setups, replace(Timing(), rpc_hold_timeout=(hold, hold)), 1, begun)
    cluster.advance(begun + STEADY)
    return NomadApi(cluster, acl or Acl())


def usual(**more: Any) -> list[Setup]:
    """Three servers and two clients."""
    servers = server_setups()
    return [replace(setup, **more) for setup in (*servers, *client_setups(2, servers))]


@pytest.fixture(scope="module")
def open_to_all() -> Iterator[SimCluster]:
    """A cluster that tests only read."""
    with serve_cluster(api(*usual(enable_debug=True))) as sim:
        yield sim


@pytest.fixture(scope="module")
def sim_with_acl() -> Iterator[SimCluster]:
    """The same with access control."""
    acl = Acl({MANAGER: MANAGEMENT, MONITOR: MONITORING})
    with serve_cluster(api(*usual(acl=True), acl=acl)) as sim:
        yield sim


def get(sim: SimCluster, name: str, path: str, token: str = "", **arguments: Any) -> requests.Response:
    headers = {"X-Nomad-Token": token} if token else {}
    return requests.get(f"{sim.url(name)}{path}", headers=headers, timeout=PATIENCE, **arguments)


def post(sim: SimCluster, name: str, path: str) -> requests.Response:
    return requests.post(f"{sim.url(name)}{path}", timeout=PATIENCE)


def statuses(members: requests.Response) -> dict[str, str]:
    return {one["Name"]: one["Status"] for one in members.json()["Members"]}


def test_one_lists_the_members_of_the_gossip_pool(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "s1.global", "/v1/agent/members")

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json()["ServerName"] == "s1"
    assert statuses(response) == dict.fromkeys(("s1.global", "s2.global", "s3.global"), "alive")


def test_one_lists_them_through_a_client(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "c1", "/v1/agent/members")

    assert response.json()["ServerName"] in ("s1", "s2", "s3")
    assert len(statuses(response)) == 3


def test_one_lists_the_servers_that_a_client_knows(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "c1", "/v1/agent/servers")

    assert response.json() == ["127.0.1.1:4647", "127.0.1.2:4647", "127.0.1.3:4647"]


def test_one_tells_a_client_other_servers() -> None:
    with serve_cluster(api(*usual())) as sim:
        response = post(sim, "c1", "/v1/agent/servers?address=127.0.1.1:4647&address=127.0.1.2:4647")

        assert (response.status_code, response.content, response.headers.get("Content-Type")) == (200, b"", None)
        assert get(sim, "c1", "/v1/agent/servers").json() == ["127.0.1.1:4647", "127.0.1.2:4647"]


@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_one_asks_an_agent_about_itself(open_to_all: SimCluster, name: str) -> None:
    response = get(open_to_all, name, "/v1/agent/self").json()

    assert response.keys() == {"config", "member", "stats"}
    assert response["config"]["Server"]["Enabled"] is (name != "c1")
    assert ("raft" in response["stats"], "client" in response["stats"]) == (name != "c1", name == "c1")


def test_one_lets_a_server_join_others() -> None:
    regions = [
        setup for region, net in (("east", 1), ("west", 2)) for setup in server_setups(1, region=region, net=net)
    ]
    with serve_cluster(api(*regions)) as sim:
        response = post(sim, "s1.east", "/v1/agent/join?address=127.0.2.1&address=127.0.1.1")

        assert response.json() == {"error": "", "num_joined": 2, "warning": ""}
        assert statuses(get(sim, "s1.west", "/v1/agent/members")).keys() == {"s1.east", "s1.west"}


def test_one_forces_a_failed_server_to_leave() -> None:
    run_incident = api(*usual())
    cluster = run_incident.cluster
    first, dead = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)
    with serve_cluster(run_incident) as sim:
        assert statuses(get(sim, first, "/v1/agent/members"))[dead] == "failed"

        response = post(sim, first, f"/v1/agent/force-leave?node={dead}")

        assert (response.status_code, response.content) == (200, b"")
        assert statuses(get(sim, first, "/v1/agent/members"))[dead] == "left"


@pytest.mark.parametrize(("name", "role"), [("s1.global", "server"), ("c1", "client")])
def test_one_asks_whether_an_agent_is_well(open_to_all: SimCluster, name: str, role: str) -> None:
    response = get(open_to_all, name, "/v1/agent/health")

    assert (response.status_code, response.json()) == (200, {role: {"message": "ok", "ok": True}})


def test_one_waits_to_hear_that_there_is_no_leader() -> None:
    run_incident = api(*usual(), hold=1.0)
    cluster = run_incident.cluster
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (left,) = cluster.world.running()
    with serve_cluster(run_incident) as sim:
        stale = get(sim, left, "/v1/agent/health?stale")
        response = get(sim, left, "/v1/agent/health")

    assert (stale.status_code, stale.json()["server"]["message"]) == (500, "no leader")
    assert (response.status_code, response.json()["server"]["message"]) == (500, "No cluster leader")
    assert response.elapsed.total_seconds() >= 1


def frames(stream: requests.Response) -> Iterator[dict[str, Any]]:
    """The objects of a stream that has nothing between them, as they come."""
    decoder, rest = json.JSONDecoder(), ""
    for chunk in stream.iter_content(None):
        rest += chunk.decode()
        while rest:
            try:
                frame, end = decoder.raw_decode(rest)
            except ValueError:
                break
            yield frame
            rest = rest[end:]


def log(stream: requests.Response) -> Iterator[str]:
    """The log so far, longer with every frame that carries some of it."""
    data = (b64decode(frame["Data"]) for frame in frames(stream) if frame.get("FileEvent") == "log")
    return (text.decode() for text in accumulate(data))


def until(told: Iterator[str], expected: str) -> str:
    """The line that is wanted, when it has come."""
    return next(line for text in told for line in text.splitlines() if expected in line)


def check(sim: SimCluster, name: str, query: str, token: str = "") -> requests.Response:
    return get(sim, name, f"/v1/agent/monitor?{query}", token, stream=True)


def test_one_watches_the_log_of_an_agent_as_frames(open_to_all: SimCluster) -> None:
    with closing(check(open_to_all, "s1.global", "log_level=debug")) as stream:
        get(open_to_all, "s1.global", "/v1/agent/health?type=server")
        line = until(log(stream), "type=server")

    assert stream.headers["Content-Type"] == "application/json"
    assert " [DEBUG] http: request complete: method=GET path=/v1/agent/health?type=server duration=" in line


def test_one_sees_by_empty_frames_that_the_agent_is_there(open_to_all: SimCluster) -> None:
    with closing(check(open_to_all, "c1", "log_level=error")) as stream:
        beats = frames(stream)

        assert [next(beats), next(beats)] == [{}, {}]


@pytest.mark.parametrize("target", ["s1.global", "s2.global", "c1"])
def test_one_watches_the_log_of_the_leader_through_any_agent(open_to_all: SimCluster, target: str) -> None:
    first = leader(open_to_all.cluster)
    with closing(check(open_to_all, target, "log_level=debug&server_id=leader")) as stream:
        get(open_to_all, first, f"/v1/agent/health?type=server&by={target}")

        assert until(log(stream), f"by={target}")


def test_one_watches_the_log_of_a_client_through_a_server(open_to_all: SimCluster) -> None:
    with closing(check(open_to_all, "s1.global", "log_level=debug&node_id=id-global-c2")) as stream:
        get(open_to_all, "c2", "/v1/agent/health?type=client")

        assert until(log(stream), "type=client")


def begun(sim: SimCluster, name: str, query: str) -> requests.Response:
    """The stream of an agent that sends not even a head before its first line: it is asked something meanwhile."""
    with ThreadPoolExecutor(1) as others:
        stream = others.submit(check, sim, name, query)
        eventually(lambda: get(sim, name, "/v1/agent/self").ok and stream.done())
        return stream.result()


def test_one_watches_plain_lines(open_to_all: SimCluster) -> None:
    with closing(begun(open_to_all, "s2.global", "plain=true&log_level=debug")) as stream:
        line = next(stream.iter_lines())

    assert stream.headers["Content-Type"] == "text/plain"
    assert b" [DEBUG] http: request complete: method=GET path=/v1/agent/self" in line


def test_one_watches_lines_of_json(open_to_all: SimCluster) -> None:
    with closing(begun(open_to_all, "s2.global", "plain=true&log_level=debug&log_json=true")) as stream:
        line = json.loads(next(stream.iter_lines()))

    assert (line["@level"], line["@module"], line["@message"]) == ("debug", "http", "request complete")
    assert (line["method"], line["path"]) == ("GET", "/v1/agent/self")


def test_one_may_watch_with_a_token_that_reads_agents(sim_with_acl: SimCluster) -> None:
    with closing(check(sim_with_acl, "s1.global", "log_level=error", MONITOR)) as stream:
        assert next(frames(stream)) == {}


def test_one_takes_a_profile_of_the_leader(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/goroutine?server_id=leader", MANAGER)

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert response.headers["Content-Disposition"] == 'attachment; filename="goroutine"'
    assert b"goroutine" in gzip.decompress(response.content)


def test_one_takes_a_profile_of_a_client_for_a_second(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/profile?seconds=1&node_id=id-global-c1", MANAGER)

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert b"nanoseconds" in gzip.decompress(response.content)
    assert 1 <= response.elapsed.total_seconds() < PATIENCE


def test_one_reads_the_goroutines(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "c1", "/v1/agent/pprof/goroutine?debug=1")

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text.startswith("goroutine profile: total ")


def test_one_reads_the_command_line(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "s1.global", "/v1/agent/pprof/cmdline")

    assert response.text.split("\0")[1] == "agent"


def test_trace_of_a_server_takes_the_requested_seconds(open_to_all: SimCluster) -> None:
    response = get(open_to_all, "s1.global", "/v1/agent/pprof/trace?seconds=1&server_id=s1.global")

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert response.headers["Content-Disposition"] == 'attachment; filename="trace"'
    assert response.content.startswith(b"go 1.22 trace")
    assert 1 <= response.elapsed.total_seconds() < PATIENCE


def test_one_asks_in_vain_for_a_profile_without_the_token_for_it(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/goroutine?server_id=leader", MONITOR)

    assert (response.status_code, response.text) == (403, "Permission denied")


@pytest.mark.parametrize("scheme", ["X-Nomad-Token", "Authorization"])
def test_one_shows_a_token_in_either_header(sim_with_acl: SimCluster, scheme: str) -> None:
    value = MONITOR if scheme == "X-Nomad-Token" else f"Bearer {MONITOR}"
    url = f"{sim_with_acl.url('s1.global')}/v1/agent/members"

    assert requests.get(url, timeout=PATIENCE).status_code == 403
    assert requests.get(url, headers={scheme: value}, timeout=PATIENCE).status_code == 200


def test_one_sees_who_leads_and_who_belongs_to_the_region(open_to_all: SimCluster) -> None:
    leads = get(open_to_all, "c1", "/v1/status/leader").json()

    assert leads in get(open_to_all, "c1", "/v1/status/peers").json()
    assert [node["Name"] for node in get(open_to_all, "s1.global", "/v1/nodes").json()] == ["c1", "c2"]
    assert get(open_to_all, "s1.global", "/v1/operator/autopilot/health").json()["Healthy"] is True


def test_one_shows_a_certificate_where_it_is_demanded(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    for folder in (ours, others):
        folder.mkdir()
    files, foreign = (make_certificates(folder, [], ["global"], datetime.now(UTC)) for folder in (ours, others))
    (setup,) = server_setups(1)
    tls = files.tls("server", "global", verify_https_client=True)
    with serve_cluster(api(replace(setup, tls=tls))) as sim:
        url = f"{sim.url('s1.global')}/v1/agent/health"
        cli, stranger = files.tls("cli", "global"), foreign.tls("cli", "global")

        assert requests.get(url, verify=tls.ca_file, cert=pair(cli), timeout=PATIENCE).json()["server"]["ok"] is True
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_REQUIRED"):
            requests.get(url, verify=tls.ca_file, timeout=PATIENCE)
        with pytest.raises(requests.exceptions.SSLError, match="UNKNOWN_CA"):
            requests.get(url, verify=tls.ca_file, cert=pair(stranger), timeout=PATIENCE)
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            requests.get(url, verify=stranger.ca_file, cert=pair(cli), timeout=PATIENCE)
        plain = requests.get(url.replace("https:", "http:"), timeout=PATIENCE)
        assert (plain.status_code, plain.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def pair(tls: Tls) -> tuple[str, str]:
    return tls.cert_file, tls.key_file
