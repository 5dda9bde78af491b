"""Ready: can this agent do its work? It may be no during an election."""

from __future__ import annotations

from collections.abc import Iterator

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Health, Role, find_own_server, is_nonvoter
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import Problem, Thresholds, Verdict, humanize

WORDS = {
    Role.SERVER: (("leader", VerdictReason.NO_LEADER),),
    Role.CLIENT: (("no known servers", VerdictReason.SERVERS_UNREACHABLE),),
}
"""What Nomad's phrases about an unhealthy role mean; any others are given as they are."""


def ready(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Verdict:
    """Whether the agent can do its work, in each role that it has; of several troubles the first one is told.

    A heartbeat is compared with its TTL within one answer, and no age is ever added to it: a client sends it at the end
    of its TTL.
    """
    trouble = next(_troubles(snapshot, at, thresholds), None)
    if trouble:
        return trouble.to_verdict(Question.READY)
    return Verdict(Question.READY, VerdictReason.OK, f"The {' and '.join(sorted(snapshot.roles))} can do its work.")


def _troubles(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    yield from _of_asking(snapshot, at, thresholds)
    health = snapshot.health.answer
    if health:
        yield from _of_health(health)
    yield from _of_telling(snapshot, at, thresholds)
    own = snapshot.agent_self.answer
    if own and Role.SERVER in own.roles:
        yield from _of_server(own, thresholds, _reached_since(snapshot))
    if own and Role.CLIENT in own.roles:
        yield from _of_client(own, thresholds)


def _of_asking(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    """The newest answer about health must be there."""
    seen = snapshot.health
    if seen.last is None:
        yield Problem(VerdictReason.STARTING, "The agent has not been asked for its health yet.")
    elif seen.failure:
        reason = VerdictReason.UNRESPONSIVE if seen.failure.is_unresponsive else VerdictReason.POLL_ERROR
        yield Problem(reason, f"The agent did not tell its health ({seen.failure}).")
    elif seen.age(at) > thresholds.max_health_age:
        yield Problem(
            VerdictReason.EXPORTER_STALLED, f"The agent was asked for its health last {humanize(seen.age(at))} ago."
        )


def _of_health(health: Health) -> Iterator[Problem]:
    for role, check in sorted(health.plain.checks.items()):
        if not check.ok:
            yield Problem(_meant(health, role, check.message), f"The {role} is unhealthy: {check.message}.")


def _meant(health: Health, role: Role, message: str) -> VerdictReason:
    """A server that is well by itself, but not through its leader, does not reach that leader."""
    if role is Role.SERVER and health.stale.checks[role].ok:
        return VerdictReason.LEADER_UNREACHABLE
    return next((reason for phrases, reason in WORDS[role] if phrases in message.lower()), VerdictReason.UNHEALTHY)


def _of_telling(snapshot: Snapshot, at: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    """The agent must have told of itself, not too long ago.

    With access control on, a client asks its servers about our token: where it cannot, it reaches none of them.
    """
    seen = snapshot.agent_self
    if snapshot.roles == {Role.CLIENT} and seen.failure and _is_cut_off(seen.failure):
        yield Problem(
            VerdictReason.SERVERS_UNREACHABLE, f"The client could not have the token judged ({seen.failure})."
        )
    elif seen.last is None:
        yield Problem(VerdictReason.STARTING, "The agent has not been asked about itself yet.")
    elif snapshot.history.refused:
        yield _since_refusal(snapshot, snapshot.history.refused)
    elif seen.age(at) > thresholds.max_age:
        why = f" ({seen.failure})" if seen.failure else ""
        since = f"for {humanize(seen.age(at))}" if seen.answered else "yet"
        silent = seen.failure is not None and seen.failure.is_unresponsive
        reason = VerdictReason.UNRESPONSIVE if silent else VerdictReason.POLL_ERROR
        yield Problem(reason, f"The agent has told nothing of itself {since}{why}.")


def _since_refusal(snapshot: Snapshot, refused: Instant) -> Problem:
    """What refused an attempt is dead, or another one than it was: what it told before does not hold any more."""
    health = snapshot.health.answered
    if health and health.since(refused) > 0:
        return Problem(VerdictReason.STARTING, "The agent was restarted, and has not been asked about itself since.")
    return Problem(VerdictReason.UNRESPONSIVE, "The agent refused a connection after it told its health.")


def _is_cut_off(failure: Failure) -> bool:
    return failure.reason is FailureReason.TIMEOUT or failure.status == 500


def _of_server(own: AgentSelf, thresholds: Thresholds, reached: bool) -> Iterator[Problem]:
    """``reached`` says that the server has reached its leader since it told this, which outweighs an old contact."""
    meant = not (own.member and own.member.nonvoter)
    if meant and is_nonvoter(own):
        server = find_own_server(own)
        told = f"is a {server.suffrage} in" if server else "is not in"
        yield Problem(VerdictReason.NOT_YET_VOTER, f"The server {told} its own raft configuration.")
    contact = own.numbers.get("raft.last_contact", 0.0)
    if contact > thresholds.max_leader_contact and not reached:
        yield Problem(
            VerdictReason.LEADER_CONTACT_LOST, f"The server heard from its leader last {humanize(contact)} ago."
        )
    lag = apply_lag(own) or 0
    if lag > thresholds.max_apply_lag:
        yield Problem(VerdictReason.RAFT_APPLY_LAG, f"The server has {lag} committed entries still to apply.")


def _reached_since(snapshot: Snapshot) -> bool:
    health, own = snapshot.health.answered, snapshot.agent_self.answered
    return bool(snapshot.reaches_leader and health and own and health.since(own) > 0)


def apply_lag(own: AgentSelf) -> int | None:
    """Committed entries that the server has not applied yet; None where it does not tell."""
    committed, applied = own.numbers.get("raft.commit_index"), own.numbers.get("raft.applied_index")
    return None if committed is None or applied is None else max(0, int(committed - applied))


def _of_client(own: AgentSelf, thresholds: Thresholds) -> Iterator[Problem]:
    ttl, heartbeat = own.numbers.get("client.heartbeat_ttl"), own.numbers.get("client.last_heartbeat")
    if ttl is None:
        yield Problem(VerdictReason.NOT_REGISTERED, "The client has not registered with its servers since it started.")
    elif heartbeat is not None and heartbeat > ttl + thresholds.heartbeat_grace:
        late = f"The client's heartbeat was answered last {humanize(heartbeat)} ago, its TTL is {humanize(ttl)}."
        yield Problem(VerdictReason.SERVERS_UNREACHABLE, late)
