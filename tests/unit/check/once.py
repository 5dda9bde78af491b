"""Agents that were polled once, for a check, and the findings about them."""

from __future__ import annotations

from nomad_exporter.check.findings import check_agents
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import HEALTH, MEMBERS, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.lines import Finding
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import HEALTHY, health
from tests.support.fleets import AT, Fleet, after_poll, agent, gossip, raft, self_answer

ONCE = Thresholds(health_interval=3600.0, max_age=10800.0, failure_threshold=1)
"""The thresholds of the command."""

TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: the token was rejected or lacks a permission")
UNREADABLE = Failure(FailureReason.CREDENTIALS, "token: No such file or directory")
UNRESOLVED = Failure(FailureReason.DNS, "cannot resolve host name")
UNTRUSTED = Failure(FailureReason.TLS, "cannot verify agent certificate")

ALL = raft(1, 2, 3)
HEALTHY_SERVER = health({Role.SERVER: HEALTHY})


def server(number: int, health: object = HEALTHY_SERVER, agent_self: object = None, members: object = None) -> Snapshot:
    """Return one of three servers after a single poll of each source, healthy unless an argument differs."""
    snapshot = after_poll(Snapshot(agent(f"s{number}")), HEALTH, health)
    snapshot = after_poll(snapshot, SELF, self_answer(number, ALL) if agent_self is None else agent_self)
    return after_poll(snapshot, MEMBERS, gossip(1, 2, 3) if members is None else members)


def failed(number: int, failure: Failure) -> Snapshot:
    """Return a server of which every poll failed."""
    snapshot = Snapshot(agent(f"s{number}"))
    for source in (HEALTH, SELF):
        snapshot = after_poll(snapshot, source, failure)
    return snapshot


def finding_of(question: str, *fleet: Snapshot, thresholds: Thresholds = ONCE) -> Finding:
    """Return the finding about the first agent."""
    (finding,) = check_agents(question, fleet, [fleet[0].agent.name], AT, thresholds)
    return finding


def snapshots_of(fleet: Fleet) -> list[Snapshot]:
    return list(fleet.values())
