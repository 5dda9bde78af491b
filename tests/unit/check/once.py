"""Agents that were asked once, for a check, and what is found about them."""

from __future__ import annotations

from nomad_exporter.check.evaluate import Finding, findings
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Role
from nomad_exporter.nomad.sources import Source
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.answers import WELL, health
from tests.support.fleets import AT, Fleet, after_poll, agent, gossip, raft, self_answer

ONCE = Thresholds(health_interval=3600.0, max_age=10800.0, failure_threshold=1)
"""What the command makes of the limits."""

SILENT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")
DENIED = Failure(FailureReason.UNAUTHORIZED, "HTTP 403: the token was rejected or may not read this")
LOCKED = Failure(FailureReason.CREDENTIALS, "token: No such file or directory")
NAMELESS = Failure(FailureReason.DNS, "the host name could not be resolved")
DISTRUSTED = Failure(FailureReason.TLS, "the agent's certificate was refused")

ALL = raft(1, 2, 3)
WELL_SERVER = health({Role.SERVER: WELL})


def server(number: int, says: object = WELL_SERVER, own: object = None, members: object = None) -> Snapshot:
    """A server of three that was asked once; of what is not named, it says that all is well."""
    snapshot = after_poll(Snapshot(agent(f"s{number}")), Source.HEALTH, says)
    snapshot = after_poll(snapshot, Source.SELF, self_answer(number, ALL) if own is None else own)
    return after_poll(snapshot, Source.MEMBERS, gossip(1, 2, 3) if members is None else members)


def nothing_from(number: int, failure: Failure) -> Snapshot:
    snapshot = Snapshot(agent(f"s{number}"))
    for source in (Source.HEALTH, Source.SELF):
        snapshot = after_poll(snapshot, source, failure)
    return snapshot


def found(question: str, *fleet: Snapshot, thresholds: Thresholds = ONCE) -> Finding:
    """What is found about the first agent."""
    (finding,) = findings(question, fleet, [fleet[0].agent.name], AT, thresholds)
    return finding


def fleet_of(fleet: Fleet) -> list[Snapshot]:
    return list(fleet.values())
