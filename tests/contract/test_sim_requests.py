"""Every documented request of Nomad's agent API, sent over HTTP to a simulated cluster."""

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

AGE_SECONDS, SETTLE_SECONDS = 120.0, 30.0
"""Age of a cluster, and the time that it takes to settle. The first request advances it to the present."""


def new_api(*setups: Setup, acl: Acl | None = None, hold: float = 5.0) -> NomadApi:
    """Return a cluster that has settled. Requests without a leader are held for ``hold`` seconds."""
    started = time.time() - AGE_SECONDS
    cluster = Cluster(setups, replace(Timing(), rpc_hold_timeout=(hold, hold)), 1, started)
    cluster.advance(started + SETTLE_SECONDS)
    return NomadApi(cluster, acl or Acl())


def default_setups(**changes: Any) -> list[Setup]:
    """Return the setups of three servers and two clients."""
    servers = server_setups()
    return [replace(setup, **changes) for setup in (*servers, *client_setups(2, servers))]


@pytest.fixture(scope="module")
def sim_without_acl() -> Iterator[SimCluster]:
    """Serve a cluster without ACLs; tests must not change it."""
    with serve_cluster(new_api(*default_setups(enable_debug=True))) as sim:
        yield sim


@pytest.fixture(scope="module")
def sim_with_acl() -> Iterator[SimCluster]:
    """Serve a cluster with ACLs; tests must not change it."""
    acl = Acl({MANAGER: MANAGEMENT, MONITOR: MONITORING})
    with serve_cluster(new_api(*default_setups(acl=True), acl=acl)) as sim:
        yield sim


def get(sim: SimCluster, name: str, path: str, token: str = "", **arguments: Any) -> requests.Response:
    headers = {"X-Nomad-Token": token} if token else {}
    return requests.get(f"{sim.url(name)}{path}", headers=headers, timeout=PATIENCE, **arguments)


def post(sim: SimCluster, name: str, path: str) -> requests.Response:
    return requests.post(f"{sim.url(name)}{path}", timeout=PATIENCE)


def statuses(members: requests.Response) -> dict[str, str]:
    return {member["Name"]: member["Status"] for member in members.json()["Members"]}


def test_server_lists_members(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "s1.global", "/v1/agent/members")

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.json()["ServerName"] == "s1"
    assert statuses(response) == dict.fromkeys(("s1.global", "s2.global", "s3.global"), "alive")


def test_client_lists_members_of_a_server(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "c1", "/v1/agent/members")

    assert response.json()["ServerName"] in ("s1", "s2", "s3")
    assert len(statuses(response)) == 3


def test_client_lists_its_servers(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "c1", "/v1/agent/servers")

    assert response.json() == ["127.0.1.1:4647", "127.0.1.2:4647", "127.0.1.3:4647"]


def test_update_replaces_servers_of_client() -> None:
    with serve_cluster(new_api(*default_setups())) as sim:
        response = post(sim, "c1", "/v1/agent/servers?address=127.0.1.1:4647&address=127.0.1.2:4647")

        assert (response.status_code, response.content, response.headers.get("Content-Type")) == (200, b"", None)
        assert get(sim, "c1", "/v1/agent/servers").json() == ["127.0.1.1:4647", "127.0.1.2:4647"]


@pytest.mark.parametrize("name", ["s1.global", "c1"])
def test_self_reflects_roles_of_agent(sim_without_acl: SimCluster, name: str) -> None:
    response = get(sim_without_acl, name, "/v1/agent/self").json()

    assert response.keys() == {"config", "member", "stats"}
    assert response["config"]["Server"]["Enabled"] is (name != "c1")
    assert ("raft" in response["stats"], "client" in response["stats"]) == (name != "c1", name == "c1")


def test_join_connects_two_regions() -> None:
    regions = [
        setup for region, net in (("east", 1), ("west", 2)) for setup in server_setups(1, region=region, net=net)
    ]
    with serve_cluster(new_api(*regions)) as sim:
        response = post(sim, "s1.east", "/v1/agent/join?address=127.0.2.1&address=127.0.1.1")

        assert response.json() == {"error": "", "num_joined": 2, "warning": ""}
        assert statuses(get(sim, "s1.west", "/v1/agent/members")).keys() == {"s1.east", "s1.west"}


def test_force_leave_removes_failed_server() -> None:
    nomad_api = new_api(*default_setups())
    cluster = nomad_api.cluster
    first, dead = leader(cluster), followers(cluster)[0]
    cluster.kill(dead)
    with serve_cluster(nomad_api) as sim:
        assert statuses(get(sim, first, "/v1/agent/members"))[dead] == "failed"

        response = post(sim, first, f"/v1/agent/force-leave?node={dead}")

        assert (response.status_code, response.content) == (200, b"")
        assert statuses(get(sim, first, "/v1/agent/members"))[dead] == "left"


@pytest.mark.parametrize(("name", "role"), [("s1.global", "server"), ("c1", "client")])
def test_health_reports_role_of_agent(sim_without_acl: SimCluster, name: str, role: str) -> None:
    response = get(sim_without_acl, name, "/v1/agent/health")

    assert (response.status_code, response.json()) == (200, {role: {"message": "ok", "ok": True}})


def test_health_without_leader_is_held() -> None:
    nomad_api = new_api(*default_setups(), hold=1.0)
    cluster = nomad_api.cluster
    for name in (leader(cluster), followers(cluster)[0]):
        cluster.kill(name)
    (remaining,) = cluster.world.running()
    with serve_cluster(nomad_api) as sim:
        stale = get(sim, remaining, "/v1/agent/health?stale")
        response = get(sim, remaining, "/v1/agent/health")

    assert (stale.status_code, stale.json()["server"]["message"]) == (500, "no leader")
    assert (response.status_code, response.json()["server"]["message"]) == (500, "No cluster leader")
    assert response.elapsed.total_seconds() >= 1


def frames(stream: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a stream as they arrive; nothing separates them."""
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
    """Yield the log received so far after each frame with data."""
    data = (b64decode(frame["Data"]) for frame in frames(stream) if frame.get("FileEvent") == "log")
    return (text.decode() for text in accumulate(data))


def wait_for_line(log_texts: Iterator[str], expected: str) -> str:
    """Read the log until a line contains ``expected``; return the line."""
    return next(line for text in log_texts for line in text.splitlines() if expected in line)


def open_monitor(sim: SimCluster, name: str, query: str, token: str = "") -> requests.Response:
    return get(sim, name, f"/v1/agent/monitor?{query}", token, stream=True)


def test_monitor_sends_log_lines_in_frames(sim_without_acl: SimCluster) -> None:
    with closing(open_monitor(sim_without_acl, "s1.global", "log_level=debug")) as stream:
        get(sim_without_acl, "s1.global", "/v1/agent/health?type=server")
        line = wait_for_line(log(stream), "type=server")

    assert stream.headers["Content-Type"] == "application/json"
    assert " [DEBUG] http: request complete: method=GET path=/v1/agent/health?type=server duration=" in line


def test_monitor_sends_heartbeats(sim_without_acl: SimCluster) -> None:
    with closing(open_monitor(sim_without_acl, "c1", "log_level=error")) as stream:
        received = frames(stream)

        assert [next(received), next(received)] == [{}, {}]


@pytest.mark.parametrize("target", ["s1.global", "s2.global", "c1"])
def test_monitor_follows_leader_through_any_agent(sim_without_acl: SimCluster, target: str) -> None:
    name = leader(sim_without_acl.cluster)
    with closing(open_monitor(sim_without_acl, target, "log_level=debug&server_id=leader")) as stream:
        get(sim_without_acl, name, f"/v1/agent/health?type=server&by={target}")

        assert wait_for_line(log(stream), f"by={target}")


def test_monitor_follows_client_through_server(sim_without_acl: SimCluster) -> None:
    with closing(open_monitor(sim_without_acl, "s1.global", "log_level=debug&node_id=id-global-c2")) as stream:
        get(sim_without_acl, "c2", "/v1/agent/health?type=client")

        assert wait_for_line(log(stream), "type=client")


def open_plain_monitor(sim: SimCluster, name: str, query: str) -> requests.Response:
    """Open a stream that sends its headers with the first line; send requests meanwhile, which the agent logs."""
    with ThreadPoolExecutor(1) as executor:
        stream = executor.submit(open_monitor, sim, name, query)
        eventually(lambda: get(sim, name, "/v1/agent/self").ok and stream.done())
        return stream.result()


def test_monitor_sends_plain_lines(sim_without_acl: SimCluster) -> None:
    with closing(open_plain_monitor(sim_without_acl, "s2.global", "plain=true&log_level=debug")) as stream:
        line = next(stream.iter_lines())

    assert stream.headers["Content-Type"] == "text/plain"
    assert b" [DEBUG] http: request complete: method=GET path=/v1/agent/self" in line


def test_monitor_sends_json_lines(sim_without_acl: SimCluster) -> None:
    with closing(
        open_plain_monitor(sim_without_acl, "s2.global", "plain=true&log_level=debug&log_json=true")
    ) as stream:
        line = json.loads(next(stream.iter_lines()))

    assert (line["@level"], line["@module"], line["@message"]) == ("debug", "http", "request complete")
    assert (line["method"], line["path"]) == ("GET", "/v1/agent/self")


def test_agent_read_token_allows_monitor(sim_with_acl: SimCluster) -> None:
    with closing(open_monitor(sim_with_acl, "s1.global", "log_level=error", MONITOR)) as stream:
        assert next(frames(stream)) == {}


def test_goroutine_profile_of_leader_is_a_file(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/goroutine?server_id=leader", MANAGER)

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert response.headers["Content-Disposition"] == 'attachment; filename="goroutine"'
    assert b"goroutine" in gzip.decompress(response.content)


def test_cpu_profile_takes_the_requested_seconds(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/profile?seconds=1&node_id=id-global-c1", MANAGER)

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert b"nanoseconds" in gzip.decompress(response.content)
    assert 1 <= response.elapsed.total_seconds() < PATIENCE


def test_goroutine_profile_is_readable_as_text(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "c1", "/v1/agent/pprof/goroutine?debug=1")

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text.startswith("goroutine profile: total ")


def test_cmdline_is_null_separated(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "s1.global", "/v1/agent/pprof/cmdline")

    assert response.text.split("\0")[1] == "agent"


def test_trace_takes_the_requested_seconds(sim_without_acl: SimCluster) -> None:
    response = get(sim_without_acl, "s1.global", "/v1/agent/pprof/trace?seconds=1&server_id=s1.global")

    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/octet-stream")
    assert response.headers["Content-Disposition"] == 'attachment; filename="trace"'
    assert response.content.startswith(b"go 1.22 trace")
    assert 1 <= response.elapsed.total_seconds() < PATIENCE


def test_profile_without_agent_write_is_denied(sim_with_acl: SimCluster) -> None:
    response = get(sim_with_acl, "s1.global", "/v1/agent/pprof/goroutine?server_id=leader", MONITOR)

    assert (response.status_code, response.text) == (403, "Permission denied")


@pytest.mark.parametrize("scheme", ["X-Nomad-Token", "Authorization"])
def test_token_is_accepted_in_either_header(sim_with_acl: SimCluster, scheme: str) -> None:
    value = MONITOR if scheme == "X-Nomad-Token" else f"Bearer {MONITOR}"
    url = f"{sim_with_acl.url('s1.global')}/v1/agent/members"

    assert requests.get(url, timeout=PATIENCE).status_code == 403
    assert requests.get(url, headers={scheme: value}, timeout=PATIENCE).status_code == 200


def test_agents_know_leader_peers_nodes_and_autopilot(sim_without_acl: SimCluster) -> None:
    address = get(sim_without_acl, "c1", "/v1/status/leader").json()

    assert address in get(sim_without_acl, "c1", "/v1/status/peers").json()
    assert [node["Name"] for node in get(sim_without_acl, "s1.global", "/v1/nodes").json()] == ["c1", "c2"]
    assert get(sim_without_acl, "s1.global", "/v1/operator/autopilot/health").json()["Healthy"] is True


def test_https_requires_client_certificate(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    for folder in (ours, others):
        folder.mkdir()
    files, foreign = (make_certificates(folder, [], ["global"], datetime.now(UTC)) for folder in (ours, others))
    (setup,) = server_setups(1)
    tls = files.tls("server", "global", verify_https_client=True)
    with serve_cluster(new_api(replace(setup, tls=tls))) as sim:
        url = f"{sim.url('s1.global')}/v1/agent/health"
        cli, stranger = files.tls("cli", "global"), foreign.tls("cli", "global")

        assert (
            requests.get(url, verify=tls.ca_file, cert=cert_files(cli), timeout=PATIENCE).json()["server"]["ok"] is True
        )
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_REQUIRED"):
            requests.get(url, verify=tls.ca_file, timeout=PATIENCE)
        with pytest.raises(requests.exceptions.SSLError, match="UNKNOWN_CA"):
            requests.get(url, verify=tls.ca_file, cert=cert_files(stranger), timeout=PATIENCE)
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            requests.get(url, verify=stranger.ca_file, cert=cert_files(cli), timeout=PATIENCE)
        plain = requests.get(url.replace("https:", "http:"), timeout=PATIENCE)
        assert (plain.status_code, plain.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")


def cert_files(tls: Tls) -> tuple[str, str]:
    return tls.cert_file, tls.key_file
