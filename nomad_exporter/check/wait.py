"""Repetition of a check until its answer is yes, its time is up, or waiting cannot help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace

from nomad_exporter.clock import Clock
from nomad_exporter.nomad.failures import FailureReason
from nomad_exporter.nomad.sources import HEALTH
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.lines import Finding, State

PAUSE_SECONDS = 1.0
"""How long after the begin of an attempt the next one begins, if the first has ended by then."""

MIN_ATTEMPT_SECONDS = 1.0
"""The least time for an attempt: the last one must not time out only because it began late."""

REJECTION_SECONDS = 30.0
"""How long an agent may reject the token or the certificate, and nothing else be wrong, before waiting ends."""

# A server with an empty disk rejects a valid token until it has replicated the tokens, and a certificate may be renewed
# together with the agent.
_REJECTIONS: Set[FailureReason | None] = {
    FailureReason.UNAUTHORIZED,
    FailureReason.TLS,
    FailureReason.CERTIFICATE_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One check: its findings, and the snapshots of all agents that were polled for it."""

    findings: Sequence[Finding]
    fleet: Sequence[Snapshot]


def wait(
    attempt: Callable[[float], Attempt], clock: Clock, sleep: Callable[[float], object], seconds: float
) -> Sequence[Finding]:
    """Repeat ``attempt`` for ``seconds`` until all findings are OK, and return the last findings.

    ``attempt`` receives the time that it may take. Findings that are no longer waited for have the state UNKNOWN.
    """
    end, rejected_since = clock() + seconds, None
    while True:
        began = clock()
        done = attempt(max(MIN_ATTEMPT_SECONDS, end.since(began)))
        now = clock()
        if all(finding.state is State.OK for finding in done.findings):
            return done.findings
        rejected_since = (rejected_since or began) if _is_rejected(done.fleet) else None
        if rejected_since and now.since(rejected_since) >= REJECTION_SECONDS:
            return [_to_unknown(finding) for finding in done.findings]
        pause = max(0.0, PAUSE_SECONDS - now.since(began))
        if end.since(now) <= pause:
            return done.findings
        sleep(pause)


def _is_rejected(fleet: Iterable[Snapshot]) -> bool:
    """Return whether an agent has rejected the token or a certificate, and nothing else is wrong with any agent."""
    problems = [problem for snapshot in fleet if (problem := _problems(snapshot))]
    return bool(problems) and not any(problem.isdisjoint(_REJECTIONS) for problem in problems)


def _problems(snapshot: Snapshot) -> set[FailureReason | None]:
    """Return the reasons of the failed polls of an agent; only None if its own health check fails."""
    health = snapshot[HEALTH].answer
    if health and health.plain.status != 200:
        return {None}
    return {state.failure.reason for state in snapshot.source_states if state.failure}


def _to_unknown(finding: Finding) -> Finding:
    return finding if finding.state is State.OK else replace(finding, state=State.UNKNOWN)
