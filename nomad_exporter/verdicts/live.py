"""The live verdict: whether the agent responds, so that a restart would not help."""

# The state of the agent's cluster never makes an agent not live.

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, failure_remedy
from nomad_exporter.nomad.sources import HEALTH
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict, humanize, in_brackets, poll_reason


def live(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Verdict:
    """Return whether the agent is live: fewer than ``thresholds.failure_threshold`` health polls in a row failed.

    Only unresponsive polls count as failed. Any HTTP status of Nomad and any TLS error is a response; a status that a
    gateway returns for the agent is not. If nothing was proven recently, the agent counts as live.
    """
    failures = _recent_failures(snapshot, now, thresholds)
    problem = polling_problem(snapshot, now, thresholds) or _unresponsive(snapshot, failures, thresholds)
    if problem:
        return problem.to_verdict(Question.LIVE)
    return Verdict(Question.LIVE, VerdictReason.OK, _ok_message(snapshot, failures, thresholds))


def polling_problem(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Problem | None:
    """Return the problem of the polling itself, which proves nothing about the agent; None if there is no problem."""
    last = snapshot.last_poll_ended
    if last is None:
        return Problem(VerdictReason.STARTING, "The first poll of the agent has not ended yet.")
    idle = now.since(last)
    if idle > thresholds.stall_timeout:
        return Problem(VerdictReason.EXPORTER_STALLED, f"The exporter has not polled the agent for {humanize(idle)}.")
    return None


def _recent_failures(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> int:
    """Return the number of polls in a row without a response; 0 if the newest of them is too old to prove anything."""
    at = snapshot.unresponsive_at
    return snapshot.consecutive_failures if at and now.since(at) <= thresholds.stall_timeout else 0


def _unresponsive(snapshot: Snapshot, failures: int, thresholds: Thresholds) -> Problem | None:
    failure = snapshot[HEALTH].failure
    if failures < thresholds.failure_threshold:
        return None
    message = f"{_no_response(snapshot)}."
    # The newest failure may be the exporter's own, which neither adds to the evidence nor takes it away.
    is_counted = failure is not None and failure.is_unresponsive
    return poll_problem(failure, message) if is_counted else Problem(VerdictReason.UNRESPONSIVE, message)


def poll_problem(failure: Failure | None, message: str) -> Problem:
    """Return the problem of a failed poll, with the failure's remedy unless the agent merely does not respond."""
    reason = poll_reason(failure) if failure else VerdictReason.POLL_ERROR
    return Problem(reason, message, failure_remedy(failure) if reason is VerdictReason.POLL_ERROR else "")


def _ok_message(snapshot: Snapshot, failures: int, thresholds: Thresholds) -> str:
    failure = snapshot[HEALTH].failure
    if failures:
        return f"{_no_response(snapshot)}; below the failure threshold of {thresholds.failure_threshold}."
    if failure and not (failure.is_responsive or failure.is_unresponsive):
        # Such a failure, for example in name resolution, says nothing about the agent.
        return f"The last poll was inconclusive{in_brackets(failure)}; the agent counts as live."
    return "The agent is responding."


def _no_response(snapshot: Snapshot) -> str:
    failures, failure = snapshot.consecutive_failures, snapshot[HEALTH].failure
    polls = "poll" if failures == 1 else f"{failures} polls"
    if failure and not failure.is_unresponsive:
        return f"No response to the last {polls} before an inconclusive one{in_brackets(failure)}"
    return f"No response to the last {polls}{in_brackets(failure)}"
