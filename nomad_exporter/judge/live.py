"""Live: would a restart of this agent help? Never no because of the state of its cluster."""

from __future__ import annotations

from nomad_exporter.clock import Instant
from nomad_exporter.judge.limits import Limits
from nomad_exporter.judge.reasons import Question, Reason
from nomad_exporter.judge.verdict import Trouble, Verdict, rough
from nomad_exporter.watch.snapshot import Snapshot


def live(snapshot: Snapshot, at: Instant, limits: Limits) -> Verdict:
    """Whether the agent lives: not only after ``limits.attempts`` attempts in a row that met silence.

    Any status and any refusal by TLS is life. Where nothing was attempted lately, nothing is held against the agent.
    """
    trouble = of_asking(snapshot, at, limits) or _trouble(snapshot, limits)
    if trouble:
        return trouble.about(Question.LIVE)
    return Verdict(Question.LIVE, Reason.OK, _patience(snapshot) if snapshot.silences else _life(snapshot))


def of_asking(snapshot: Snapshot, at: Instant, limits: Limits) -> Trouble | None:
    """What is wrong with the asking itself, so that it cannot be held against the agent."""
    last = snapshot.attempted_last
    if last is None:
        return Trouble(Reason.STARTING, "The agent has not been asked yet.")
    if at.since(last) > limits.stall:
        return Trouble(Reason.EXPORTER_STALLED, f"The agent was asked last {rough(at.since(last))} ago.")
    return None


def _trouble(snapshot: Snapshot, limits: Limits) -> Trouble | None:
    if snapshot.silences >= limits.attempts:
        attempts = "one attempt" if snapshot.silences == 1 else f"{snapshot.silences} attempts in a row"
        return Trouble(Reason.NOT_ANSWERING, f"No sign of life in {attempts}{_why(snapshot)}.")
    return None


def _life(snapshot: Snapshot) -> str:
    """A failure that is neither silence nor a sign of life, such as a name that is not resolved, proves nothing."""
    failure = snapshot.health.failure
    proves_nothing = failure and not (failure.alive or failure.silent)
    return f"Nothing is known against it ({failure})." if proves_nothing else "The agent answers."


def _patience(snapshot: Snapshot) -> str:
    """It met silence, but not often enough."""
    times = "once" if snapshot.silences == 1 else f"{snapshot.silences} times in a row"
    return f"The agent did not answer {times}{_why(snapshot)}; that is borne for a while."


def _why(snapshot: Snapshot) -> str:
    return f" ({snapshot.health.failure})" if snapshot.health.failure else ""
