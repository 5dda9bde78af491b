"""The promise of the simulated cluster: in every recorded situation it answers all that was asked as real agents did.

All that differs stands in one table, with the reason.
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
from tests.support.comparing import Recording, Told, compared, differences, recordings
from tests.support.scenarios import member_of, play_scenario


@dataclass(frozen=True, slots=True)
class Listed:
    """Differences that are known: in which recordings, which, and why. Both patterns are those of a shell."""

    where: str
    what: tuple[str, ...]
    why: str

    def covers(self, place: str, difference: str) -> bool:
        return fnmatchcase(place, self.where) and any(fnmatchcase(difference, what) for what in self.what)


DOCUMENTED = "0.5.5-documented/*"

LEADERS_TERM = 2
"""That of the first leader, with real agents as with ours."""

LISTED = (
    Listed(
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
        "Values of a moment: only their form is compared.",
    ),
    Listed(
        "*/self.json",
        ("value of stats.client.num_allocations", "form of stats.client.num_allocations"),
        "The recorded clients ran a job of three allocations; on ours allocations come and go, and may all be gone.",
    ),
    Listed(
        "*/self.json",
        ("value of stats.runtime.max_procs", "value of stats.runtime.cpu_count"),
        "The recorded agents ran on a machine of another size.",
    ),
    Listed(
        "*/self.json",
        ("value of config.Server.ServerJoin.RetryInterval",),
        "The recorded servers were set up to retry a join every two seconds; ours have Nomad's default.",
    ),
    Listed(
        "*/self.json",
        ("value of stats.serf.health_score", "form of stats.serf.health_score"),
        "How badly a server's own probes went is chance; ours counts the members that it suspects.",
    ),
    Listed(
        "*/self.json",
        ("form of stats.serf.intent_queue",),
        "Our gossip has no queues; on real servers news of a member was still under way.",
    ),
    Listed(
        "1.[26].*/self.json",
        ("value of stats.raft.term", "value of stats.raft.last_log_term"),
        "Before pre-votes every election raises the term, and how many fail is chance.",
    ),
    Listed(
        "*/operator-autopilot-health.json",
        (
            "value of Servers.*.LastContact",
            "value of Servers.*.LastIndex",
            "value of Servers.*.StableSince",
        ),
        "Values of a moment: only their form is compared.",
    ),
    Listed(
        "*/autopilot-cleaned/*/operator-autopilot-health.json",
        (
            "status 200 for 429",
            "header content-type: application/json for None",
            "missing Servers.s[12].global.*",
            "missing Voters.2",
            "form of Healthy",
            "form of FailureTolerance",
            "form of Servers.s2.global.*",
        ),
        "Nomad answers what its autopilot saw at its last look, up to two seconds ago and even before the server was "
        "killed; ours answers what is.",
    ),
    Listed(
        "*/c1-client/servers.json",
        ("value of [01]", "extra 2", "missing 2"),
        "Every question that a client takes to a server lets it send its heartbeat at once, and so learn which servers "
        "live, here between two of the recorder's questions; our heartbeats have times of their own.",
    ),
    Listed(
        "1.2.16/failed-follower/*",
        ("value of Members.s1.global.Status", "form of stats.serf.failed"),
        "The leader knew of the loss and the other server did not yet; our two hear of it in the same instant.",
    ),
    Listed(
        "2.0.5/acl/anonymous/servers.json",
        ("answer",),
        "The agent was still starting, and its client had not registered; ours has when it is asked first.",
    ),
    Listed(
        "2.0.5/acl/management/self.json",
        ("form of stats.client.heartbeat_ttl", "value of stats.client.known_servers"),
        "The same agent, not yet registered.",
    ),
    Listed(
        "1.2.16/acl/*",
        ("form of stats.client.heartbeat_ttl", "value of stats.client.known_servers", "missing 1"),
        "This agent, too, had not registered yet when it was asked with the first tokens.",
    ),
    Listed(
        "*/monitor-*.json",
        ("header content-encoding: None for gzip",),
        "Our streams are not compressed: nothing would be won by it but a delay.",
    ),
    Listed(
        DOCUMENTED,
        ("header content-encoding: gzip for None", "header vary: Accept-Encoding for None"),
        "Of the headers of a sample, only the content type was documented.",
    ),
    Listed(
        DOCUMENTED,
        ("missing config.Revision", "missing config.Version", "missing config.VersionPrerelease"),
        "0.12, the oldest version that is played, has an object in the place of these three texts.",
    ),
    Listed(
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
        "0.12 tells more than 0.5.5 did.",
    ),
    Listed(
        DOCUMENTED,
        (
            "missing config.Client.Reserved.ParsedReservedPorts",
            "form of config.Client.GC*Threshold",
            "form of config.Consul.*",
            "form of config.DisableAnonymousSignature",
            "form of config.Server.HeartbeatGrace",
            "form of config.Server.RetryInterval",
            "form of config.Telemetry.DataDogTags",
            "form of stats.raft.latest_configuration_index",
            "value of *DelegateMax",
            "value of *Tags.build",
            "value of stats.raft.protocol_version",
            "value of stats.runtime.version",
        ),
        "0.12 says these otherwise than 0.5.5 did.",
    ),
    Listed(
        DOCUMENTED,
        (
            "missing config.Client.Meta",
            "missing config.Client.Options.driver.docker.volumes",
            "missing config.Client.Servers",
            "missing config.Files",
            "form of config.DataDir",
            "form of config.DevMode",
            "form of config.DisableUpdateCheck",
            "form of config.EnableDebug",
            "form of config.NodeName",
            "form of config.Server.BootstrapExpect",
            "form of config.Server.NumSchedulers",
            "form of config.Vault.Token",
            "form of stats.raft.last_contact",
            "value of config.Client.NetworkInterface",
            "value of config.LogLevel",
            "value of stats.nomad.bootstrap",
            "value of stats.runtime.kernel.name",
        ),
        "The documented agent ran in the development mode, on macOS.",
    ),
)
"""Every difference between the recordings and the simulated cluster."""


def of(recording: Recording) -> frozenset[str]:
    """In what the answer of the simulated agent differs."""
    build, scenario, *_ = recording.parts
    return differences(build, scenario)[recording.place]


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording.place)
def test_it_answers_as_was_recorded(recording: Recording) -> None:
    unknown = {found for found in of(recording) if not any(listed.covers(recording.place, found) for listed in LISTED)}

    assert unknown == set()


@pytest.mark.parametrize(
    "listed",
    [replace(listed, what=(what,)) for listed in LISTED for what in listed.what],
    ids=lambda listed: f"{listed.where}: {listed.what[0]}",
)
def test_what_is_listed_differs_indeed(listed: Listed) -> None:
    places = [one for one in recordings() if fnmatchcase(one.place, listed.where)]

    assert any(listed.covers(one.place, found) for one in places for found in of(one))


@pytest.mark.parametrize("build", ["2.0.5", "1.10.5", "1.6.10", "1.2.16"])
def test_a_term_rises_without_a_leader_where_it_did_when_it_was_recorded(build: str) -> None:
    (told,) = (one for one in recordings() if fnmatchcase(one.place, f"{build}/no-leader-for-long/s*/self.json"))
    term = int(json.loads(told.told.text)["stats"]["raft"]["term"])
    server = raft_of(play_scenario(build, "no-leader-for-long").cluster, member_of(told.parts[2]))

    assert (server.term > server.log.last_term) is (term > LEADERS_TERM)


def recorded(place: str) -> Recording:
    (found,) = (one for one in recordings() if one.place == place)
    return found


LEADER = recorded("2.0.5/healthy/s2-leader/self.json")


def with_stats(group: str, name: str, value: str | None) -> Told:
    """What the leader told, but one value; None leaves it out."""
    told: dict[str, Any] = json.loads(LEADER.told.text)
    stats: dict[str, dict[str, str]] = told["stats"]
    stats[group] = {**stats[group], **({name: value} if value is not None else {})}
    if value is None:
        del stats[group][name]
    return replace(LEADER.told, text=json.dumps(told))


def with_headers(change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> Told:
    return replace(LEADER.told, headers=change(LEADER.told.headers))


@pytest.mark.parametrize(
    ("told", "difference"),
    [
        (with_stats("raft", "term", "3"), "value of stats.raft.term"),
        (with_stats("raft", "term", "0"), "form of stats.raft.term"),
        (with_stats("raft", "term", "never"), "form of stats.raft.term"),
        (with_stats("raft", "last_contact", "4ms"), "form of stats.raft.last_contact"),
        (with_stats("raft", "latest_configuration", "[]"), "value of stats.raft.latest_configuration"),
        (with_stats("nomad", "leader", "false"), "value of stats.nomad.leader"),
        (with_stats("nomad", "leader", None), "missing stats.nomad.leader"),
        (with_stats("nomad", "follower", "false"), "extra stats.nomad.follower"),
        (replace(LEADER.told, status=500), "status 500 for 200"),
        (replace(LEADER.told, status=None), "no answer"),
        (replace(LEADER.told, seconds=5.1), "held"),
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
def test_a_difference_would_be_seen(told: Told, difference: str) -> None:
    assert list(compared(LEADER, told)) == [difference]


def test_neither_an_id_nor_the_order_of_the_peers_is_a_difference() -> None:
    told = json.loads(LEADER.told.text)["stats"]["raft"]["latest_configuration"]
    one, two, three = (f"{peer}}}" for peer in told.strip("[]").replace("} ", "}").split("}")[:-1])
    other_id = re.sub(r"ID:\S+", f"ID:{UUID(int=1)}", three)

    assert told == f"[{one} {two} {three}]"
    assert list(compared(LEADER, with_stats("raft", "latest_configuration", f"[{other_id} {one} {two}]"))) == []
