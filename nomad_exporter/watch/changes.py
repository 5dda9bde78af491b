"""What changed from one snapshot to the next, as the few lines that a person wants in a log: not one a poll."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nomad_exporter.nomad.answers import Check, Role
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.sources import Source
from nomad_exporter.watch.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: its level (of ``logging``), its message and its fields."""

    level: int
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


def changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """The changes from ``before`` to ``after``: of the reasons why polls fail, and of the agent's health."""
    yield from _of_failures(before, after)
    yield from _of_health(before, after)


def _of_failures(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """An agent that dies fails three sources within seconds, for one reason: that is one line."""
    was, now = _failures(before), _failures(after)
    for reason in now.keys() - was.keys():
        source, failure = now[reason]
        yield Change(logging.WARNING, "poll failed", {"source": source, "reason": reason, "detail": failure.detail})
    own = after.own.answer
    if own and not (before.own.answer or now):
        yield Change(logging.INFO, "agent answers", {"roles": ",".join(sorted(own.roles)), "version": own.version})
    elif was and not now:
        yield Change(logging.INFO, "agent answers again")
    elif now.keys() < was.keys():
        for reason in was.keys() - now.keys():
            yield Change(logging.INFO, "poll fails no more", {"source": was[reason][0], "reason": reason})


def _failures(snapshot: Snapshot) -> dict[str, tuple[Source, Failure]]:
    return {str(seen.failure.reason): (seen.source, seen.failure) for seen in snapshot.seen if seen.failure}


def _of_health(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    was, now = _checks(before), _checks(after)
    for role, check in sorted(now.items()):
        well_before = was[role].ok if role in was else True
        if check.ok and not well_before:
            yield Change(logging.INFO, "agent is healthy again", {"role": role})
        elif well_before and not check.ok:
            yield Change(logging.WARNING, "agent is unhealthy", {"role": role, "detail": check.message})


def _checks(snapshot: Snapshot) -> Mapping[Role, Check]:
    return snapshot.health.answer.plain.checks if snapshot.health.answer else {}
