"""Simulated agents respond like the recorded ones in every scenario.

``DIFFERENCES`` lists everything that differs, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

import pytest

from tests.support.clusters import raft_of
from tests.support.comparing import Recording, TimedResponse, compare, differences, recordings
from tests.support.scenarios import SEEDS, find_seed, member_of, play_scenario


@dataclass(frozen=True, slots=True)
class Known:
    """Known differences: shell patterns of recording paths and of differences, and the reason."""

    paths: str
    patterns: tuple[str, ...]
    reason: str

    def covers(self, path: str, difference: str) -> bool:
        return fnmatchcase(path, self.paths) and any(fnmatchcase(difference, pattern) for pattern in self.patterns)


DOCUMENTED = "0.5.5-documented/*"

FIRST_TERM = 2
"""The term of the first leader, of real and of simulated agents."""

DIFFERENCES = (
    Known(
        "*/self.json",
        (
            "value of stats.raft.last_log_index",
            "value of stats.raft.commit_index",
            "value of stats.raft.applied_index",
            "value of stats.raft.last_contact",
            "value of stats.serf.member_time",
            "value of stats.client.last_heartbeat",
            "value of stats.client.heartbeat_ttl",
            "value of stats.runtime.goroutines",
        ),
        "These values change all the time; only their format is compared.",
    ),
    Known(
        "*/self.json",
        ("value of stats.client.num_allocations", "format of stats.client.num_allocations"),
        "The recorded clients ran a job of three allocations. Simulated allocations come and go; there may be none.",
    ),
    Known(
        "*/self.json",
        ("value of stats.runtime.max_procs", "value of stats.runtime.cpu_count"),
        "The recorded agents ran on a machine with another number of CPUs.",
    ),
    Known(
        "*/self.json",
        ("value of config.Server.ServerJoin.RetryInterval",),
        "The recorded servers retried joins every two seconds. Simulated servers have Nomad's default.",
    ),
    Known(
        "*/self.json",
        ("value of stats.serf.health_score", "format of stats.serf.health_score"),
        "The score of a real server depends on its failed probes. The simulated score counts suspected members.",
    ),
    Known(
        "*/self.json",
        ("format of stats.serf.intent_queue",),
        "Simulated gossip has no queues. Real servers still had messages to send.",
    ),
    Known(
        "1.[26].*/self.json",
        ("value of stats.raft.term", "value of stats.raft.last_log_term"),
        "Without pre-vote, every election raises the term, and the number of failed elections is random.",
    ),
    Known(
        "*/operator-autopilot-health.json",
        (
            "value of Servers.*.LastContact",
            "value of Servers.*.LastIndex",
            "value of Servers.*.StableSince",
        ),
        "These values change all the time; only their format is compared.",
    ),
    Known(
        "*/autopilot-cleaned/*/operator-autopilot-health.json",
        (
            "status 200 for 429",
            "header content-type: application/json for None",
            "missing Servers.s[12].global.*",
            "missing Voters.2",
            "format of Healthy",
            "format of FailureTolerance",
            "format of Servers.s2.global.*",
        ),
        "Nomad returns the result of autopilot's last run, up to two seconds old and even from before the server was "
        "killed. Simulated agents return the current state.",
    ),
    Known(
        "*/c1-client/servers.json",
        ("value of [01]", "extra 2", "missing 2"),
        "A real client sends its heartbeat right after a forwarded request, and so learned which servers are alive "
        "between two requests of the recorder. Simulated heartbeats have a schedule of their own.",
    ),
    Known(
        "1.2.16/failed-follower/*",
        ("value of Members.s1.global.Status", "format of stats.serf.failed"),
        "The real leader detected the failure before the other server. Simulated servers detect it at the same time.",
    ),
    Known(
        "2.0.5/acl/anonymous/servers.json",
        ("unexpected response",),
        "The client of the recorded agent had not registered yet. The simulated client has before the first request.",
    ),
    Known(
        "2.0.5/acl/management/self.json",
        ("format of stats.client.heartbeat_ttl", "value of stats.client.known_servers"),
        "The same agent, not yet registered.",
    ),
    Known(
        "1.2.16/acl/*",
        ("format of stats.client.heartbeat_ttl", "value of stats.client.known_servers", "missing 1"),
        "This agent also had not registered yet when it received the requests with the first tokens.",
    ),
    Known(
        "*/monitor-*.json",
        ("header content-encoding: None for gzip",),
        "Simulated streams are not compressed.",
    ),
    Known(
        DOCUMENTED,
        ("header content-encoding: gzip for None", "header vary: Accept-Encoding for None"),
        "Of the headers, Nomad's documentation shows only the content type.",
    ),
    Known(
        DOCUMENTED,
        ("missing config.Revision", "missing config.Version", "missing config.VersionPrerelease"),
        "0.12, the oldest simulated version, has an object instead of these three strings.",
    ),
    Known(
        DOCUMENTED,
        (
            "extra config.*",
            "extra *Tags.id",
            "extra *Tags.expect",
            "extra *Tags.raft_vsn",
            "extra *Tags.rpc_addr",
            "extra stats.serf.coordinate_resets",
            "extra stats.vault.*",
        ),
        "0.12 returns more keys than 0.5.5.",
    ),
    Known(
        DOCUMENTED,
        (
            "missing config.Client.Reserved.ParsedReservedPorts",
            "format of config.Client.GC*Threshold",
            "format of config.Consul.*",
            "format of config.DisableAnonymousSignature",
            "format of config.Server.HeartbeatGrace",
            "format of config.Server.RetryInterval",
            "format of config.Telemetry.DataDogTags",
            "format of stats.raft.latest_configuration_index",
            "value of *DelegateMax",
            "value of *Tags.build",
            "value of stats.raft.protocol_version",
            "value of stats.runtime.version",
        ),
        "0.12 returns these in another format, or with other values, than 0.5.5.",
    ),
    Known(
        DOCUMENTED,
        (
            "missing config.Client.Meta",
            "missing config.Client.Options.driver.docker.volumes",
            "missing config.Client.Servers",
            "missing config.Files",
            "format of config.DataDir",
            "format of config.DevMode",
            "format of config.DisableUpdateCheck",
            "format of config.EnableDebug",
            "format of config.NodeName",
            "format of config.Server.BootstrapExpect",
            "format of config.Server.NumSchedulers",
            "format of config.Vault.Token",
            "format of stats.raft.last_contact",
            "value of config.Client.NetworkInterface",
            "value of config.LogLevel",
            "value of stats.nomad.bootstrap",
            "value of stats.runtime.kernel.name",
        ),
        "The documented agent ran in development mode on macOS.",
    ),
)
"""Every difference between the recordings and the simulated agents."""


def differences_of(recording: Recording) -> frozenset[str]:
    """Return the differences of the simulated agent's response."""
    build, scenario, *_ = recording.parts
    return differences(build, scenario)[recording.path]


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording.path)
def test_simulated_response_equals_recording(recording: Recording) -> None:
    found = differences_of(recording)
    known = {each for each in found if any(entry.covers(recording.path, each) for entry in DIFFERENCES)}

    assert found - known == set()


@pytest.mark.parametrize(
    "known",
    [replace(known, patterns=(pattern,)) for known in DIFFERENCES for pattern in known.patterns],
    ids=lambda known: f"{known.paths}: {known.patterns[0]}",
)
def test_known_difference_exists(known: Known) -> None:
    selected = [recording for recording in recordings() if fnmatchcase(recording.path, known.paths)]

    assert any(known.covers(recording.path, each) for recording in selected for each in differences_of(recording))


@pytest.mark.parametrize("build", ["2.0.5", "1.10.5", "1.6.10", "1.2.16"])
def test_term_rises_without_leader_as_recorded(build: str) -> None:
    pattern = f"{build}/no-leader-for-long/s*/self.json"
    (recording,) = (recording for recording in recordings() if fnmatchcase(recording.path, pattern))
    term = int(json.loads(recording.response.text)["stats"]["raft"]["term"])
    server = raft_of(play_scenario(build, "no-leader-for-long").cluster, member_of(recording.parts[2]))

    assert (server.term > server.log.last_term) is (term > FIRST_TERM)


def test_seed_search_finds_the_seed_of_the_table() -> None:
    assert find_seed("2.0.5", "healthy") == SEEDS["2.0.5"]["healthy"]


def recording_at(path: str) -> Recording:
    (found,) = (recording for recording in recordings() if recording.path == path)
    return found


LEADER = recording_at("2.0.5/healthy/s2-leader/self.json")


def with_stats(group: str, name: str, value: str | None) -> TimedResponse:
    """Return the leader's response with one value changed, or removed if None."""
    body: dict[str, Any] = json.loads(LEADER.response.text)
    stats: dict[str, dict[str, str]] = body["stats"]
    stats[group] = {**stats[group], **({name: value} if value is not None else {})}
    if value is None:
        del stats[group][name]
    return replace(LEADER.response, text=json.dumps(body))


def with_headers(change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> TimedResponse:
    return replace(LEADER.response, headers=change(LEADER.response.headers))


@pytest.mark.parametrize(
    ("response", "difference"),
    [
        (with_stats("raft", "term", "3"), "value of stats.raft.term"),
        (with_stats("raft", "term", "0"), "format of stats.raft.term"),
        (with_stats("raft", "term", "never"), "format of stats.raft.term"),
        (with_stats("raft", "last_contact", "4ms"), "format of stats.raft.last_contact"),
        (with_stats("raft", "latest_configuration", "[]"), "value of stats.raft.latest_configuration"),
        (with_stats("nomad", "leader", "false"), "value of stats.nomad.leader"),
        (with_stats("nomad", "leader", None), "missing stats.nomad.leader"),
        (with_stats("nomad", "follower", "false"), "extra stats.nomad.follower"),
        (replace(LEADER.response, status=500), "status 500 for 200"),
        (replace(LEADER.response, status=None), "no response"),
        (replace(LEADER.response, seconds=5.1), "held"),
        (
            with_headers(lambda headers: {**headers, "content-type": "text/plain"}),
            "header content-type: text/plain for application/json",
        ),
        (
            with_headers(lambda headers: {name: value for name, value in headers.items() if name != "content-type"}),
            "header content-type: None for application/json",
        ),
    ],
)
def test_comparison_finds_a_difference(response: TimedResponse, difference: str) -> None:
    assert list(compare(LEADER, response)) == [difference]


def test_comparison_ignores_ids_and_order_of_peers() -> None:
    peers = json.loads(LEADER.response.text)["stats"]["raft"]["latest_configuration"]
    one, two, three = (f"{peer}}}" for peer in peers.strip("[]").replace("} ", "}").split("}")[:-1])
    other_id = re.sub(r"ID:\S+", f"ID:{UUID(int=1)}", three)

    assert peers == f"[{one} {two} {three}]"
    assert list(compare(LEADER, with_stats("raft", "latest_configuration", f"[{other_id} {one} {two}]"))) == []
