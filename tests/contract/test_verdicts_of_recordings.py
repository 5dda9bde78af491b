"""The verdicts about recorded agents in every scenario.

Each row was derived by hand from the recorded responses: leader, voters, gossip status, age of the heartbeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest

from nomad_exporter.verdicts.evaluate import evaluate
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.recordings import Situation, situations
from tests.support.replay import AT, replay

VERDICTS = """
scenario                  agent               live ready               quorum                versions

acl                       agent-and-node-read ok   ok                  would_lose_quorum     every
acl                       agent-read          ok   not_registered      would_lose_quorum     1.2.16
acl                       agent-read          ok   ok                  would_lose_quorum     1.10.5 1.6.10 2.0.5
acl                       anonymous           ok   poll_error          unknown               every
acl                       bearer              ok   poll_error          no_leader             1.10.5 1.6.10 2.0.5
acl                       bearer              ok   poll_error          unknown               1.2.16
acl                       malformed           ok   poll_error          unknown               every
acl                       management          ok   not_registered      would_lose_quorum     1.2.16 2.0.5
acl                       management          ok   ok                  would_lose_quorum     1.10.5 1.6.10
acl                       unknown             ok   poll_error          unknown               every
acl-healthy               c1-client           ok   ok                  not_a_voter           1.6.10 2.0.5
acl-servers-frozen        c1-client           ok   servers_unreachable not_a_voter           1.6.10 2.0.5
acl-servers-killed        c1-client           ok   servers_unreachable not_a_voter           1.6.10 2.0.5
autopilot-cleaned         s1-leader           ok   ok                  would_lose_quorum     1.10.5 1.6.10 2.0.5
autopilot-cleaned         s2-leader           ok   ok                  would_lose_quorum     1.2.16
autopilot-cleaned         s3-follower         ok   ok                  would_lose_quorum     every
failed-follower           c1-client           ok   ok                  not_a_voter           every
failed-follower           s2-follower         ok   ok                  would_lose_quorum     1.10.5 1.6.10
failed-follower           s2-leader           ok   ok                  would_lose_quorum     1.2.16 2.0.5
failed-follower           s3-follower         ok   ok                  would_lose_quorum     1.2.16 2.0.5
failed-follower           s3-leader           ok   ok                  would_lose_quorum     1.10.5 1.6.10
failed-follower-unnoticed s2-leader           ok   ok                  insufficient_evidence 1.2.16 2.0.5
failed-follower-unnoticed s3-leader           ok   ok                  insufficient_evidence 1.10.5 1.6.10
frozen                    s1-follower         ok   unresponsive        unknown               every
healthy                   c1-client           ok   ok                  not_a_voter           every
healthy                   s1-follower         ok   ok                  ok                    every
healthy                   s2-follower         ok   ok                  ok                    1.10.5 1.6.10
healthy                   s2-leader           ok   ok                  ok                    1.2.16 2.0.5
healthy                   s3-follower         ok   ok                  ok                    1.2.16 2.0.5
healthy                   s3-leader           ok   ok                  ok                    1.10.5 1.6.10
leader-just-died          s2-follower         ok   leader_unreachable  no_leader             1.10.5 1.6.10
leader-just-died          s3-follower         ok   leader_unreachable  no_leader             1.2.16 2.0.5
never-registered          c9-client           ok   not_registered      not_a_voter           every
never-registered-later    c9-client           ok   not_registered      not_a_voter           every
no-leader                 c1-client           ok   ok                  not_a_voter           every
no-leader                 s2-follower         ok   no_leader           no_leader             1.10.5 1.6.10
no-leader                 s3-follower         ok   no_leader           no_leader             1.2.16 2.0.5
no-leader-for-long        c1-client           ok   servers_unreachable not_a_voter           every
no-leader-for-long        s2-follower         ok   no_leader           no_leader             1.10.5 1.6.10
no-leader-for-long        s3-follower         ok   no_leader           no_leader             1.2.16 2.0.5
no-servers                c8-client           ok   servers_unreachable not_a_voter           every
one-left                  c1-client           ok   ok                  not_a_voter           every
one-left                  s2-follower         ok   ok                  would_lose_quorum     1.10.5 1.2.16 2.0.5
one-left                  s2-leader           ok   ok                  would_lose_quorum     1.6.10
one-left                  s3-follower         ok   ok                  would_lose_quorum     1.6.10
one-left                  s3-leader           ok   ok                  would_lose_quorum     1.10.5 1.2.16 2.0.5
recovered                 c1-client           ok   ok                  not_a_voter           1.10.5 1.2.16 1.6.10
recovered                 c1-client           ok   servers_unreachable not_a_voter           2.0.5
recovered                 s1-follower         ok   ok                  ok                    every
recovered                 s2-follower         ok   ok                  ok                    1.10.5 1.2.16 2.0.5
recovered                 s2-leader           ok   ok                  ok                    1.6.10
recovered                 s3-follower         ok   ok                  ok                    1.6.10
recovered                 s3-leader           ok   ok                  ok                    1.10.5 1.2.16 2.0.5
region-lost               west-s1             ok   ok                  would_lose_quorum     every
rejoined-nonvoter         s1-leader           ok   ok                  would_lose_quorum     1.10.5 1.6.10 2.0.5
rejoined-nonvoter         s1-nonvoter         ok   not_yet_voter       ok                    1.2.16
rejoined-nonvoter         s2-leader           ok   ok                  would_lose_quorum     1.2.16
rejoined-nonvoter         s2-nonvoter         ok   not_yet_voter       ok                    1.10.5 1.6.10 2.0.5
rejoined-nonvoter         s3-follower         ok   ok                  would_lose_quorum     every
servers-unreachable       c1-client           ok   servers_unreachable not_a_voter           every
single                    bacon-mac           ok   ok                  would_lose_quorum     0.5.5-documented every
single-starting           bacon-mac           ok   not_registered      no_leader             every
two-regions               east-s1             ok   ok                  would_lose_quorum     every
two-regions               west-s1             ok   ok                  would_lose_quorum     every
"""
"""Why each agent is live, ready and may be stopped, or not; ``every`` stands for all versions that were recorded.

The agents that were recorded in one scenario are one fleet, but for ``acl``: that is one agent whom others asked, each
with another token. ``bearer`` was asked for nothing but ``self``.
"""

EVERY = ("1.10.5", "1.2.16", "1.6.10", "2.0.5")

Reasons = tuple[str, str, str]
"""The reasons of the verdicts live, ready and quorum."""


def expected() -> Iterator[tuple[str, Reasons]]:
    """Yield the name of each recording and the reasons of its verdicts."""
    for line in VERDICTS.splitlines()[3:]:
        scenario, agent, live, ready, quorum, *versions = line.split()
        for version in [each for column in versions for each in (EVERY if column == "every" else (column,))]:
            yield f"{version}/{scenario}/{agent}", (live, ready, quorum)


EXPECTED = dict(expected())


def fleets() -> Mapping[tuple[str, ...], dict[str, Situation]]:
    """Return the recorded agents that form a fleet, by version and scenario."""
    found: dict[tuple[str, ...], dict[str, Situation]] = defaultdict(dict)
    for situation in situations():
        version, scenario, agent = situation.name.split("/")
        found[(version, scenario, agent) if scenario == "acl" else (version, scenario)][agent] = situation
    return found


FLEETS = fleets()


@pytest.mark.parametrize("fleet", FLEETS, ids="/".join)
def test_verdicts_equal_the_table(fleet: tuple[str, ...]) -> None:
    agents = FLEETS[fleet]
    snapshots = [entry.snapshot for entry in replay(agents)]
    found = {
        agents[each.snapshot.agent.name].name: tuple(str(verdict.reason) for verdict in each.verdicts.values())
        for each in evaluate(snapshots, snapshots, AT, Thresholds())
    }

    assert found == {situation.name: EXPECTED.get(situation.name) for situation in agents.values()}


def test_every_recorded_agent_is_in_the_table_once() -> None:
    assert sorted(name for name, _ in expected()) == sorted(situation.name for situation in situations())
