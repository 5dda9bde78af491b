"""Live: would a restart of this agent help? Never no because of the state of its cluster."""

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict, humanize


def live(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Verdict:
    """Whether the agent lives: not only after ``thresholds.attempts`` attempts in a row that met silence.

    Any status and any refusal by TLS is life. Where nothing was attempted lately, nothing is held against the agent.
    """
    trouble = polling_problem(snapshot, at, thresholds) or _trouble(snapshot, thresholds)
    if trouble:
        return trouble.to_verdict(Question.LIVE)
    return Verdict(
        Question.LIVE, VerdictReason.OK, _patience(snapshot) if snapshot.consecutive_failures else _life(snapshot)
    )


def polling_problem(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Problem | None:
    """What is wrong with the asking itself, so that it cannot be held against the agent."""
    last = snapshot.last_poll_ended
    if last is None:
        return Problem(VerdictReason.STARTING, "The agent has not been asked yet.")
    if at.since(last) > thresholds.stall_timeout:
        return Problem(VerdictReason.EXPORTER_STALLED, f"The agent was asked last {humanize(at.since(last))} ago.")
    return None


def _trouble(snapshot: Snapshot, thresholds: Thresholds) -> Problem | None:
    if snapshot.consecutive_failures >= thresholds.failure_threshold:
        attempts = (
            "one attempt"
            if snapshot.consecutive_failures == 1
            else f"{snapshot.consecutive_failures} attempts in a row"
        )
        return Problem(VerdictReason.UNRESPONSIVE, f"No sign of life in {attempts}{_why(snapshot)}.")
    return None


def _life(snapshot: Snapshot) -> str:
    """A failure that is neither silence nor a sign of life, such as a name that is not resolved, proves nothing."""
    failure = snapshot.health.failure
    proves_nothing = failure and not (failure.is_responsive or failure.is_unresponsive)
    return f"Nothing is known against it ({failure})." if proves_nothing else "The agent answers."


def _patience(snapshot: Snapshot) -> str:
    """It met silence, but not often enough."""
    times = "once" if snapshot.consecutive_failures == 1 else f"{snapshot.consecutive_failures} times in a row"
    return f"The agent did not answer {times}{_why(snapshot)}; that is borne for a while."


def _why(snapshot: Snapshot) -> str:
    return f" ({snapshot.health.failure})" if snapshot.health.failure else ""
