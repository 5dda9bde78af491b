"""The ready verdict: whether the agent can do its work."""

# An agent may be not ready during an election.

from __future__ import annotations

from collections.abc import Iterator

from nomad_exporter.clock import Instant
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import AgentSelf, Health, Role, find_own_server, is_nonvoter
from nomad_exporter.nomad.sources import HEALTH, SELF
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.verdicts.live import poll_problem
from nomad_exporter.verdicts.reasons import Question, VerdictReason
from nomad_exporter.verdicts.verdict import (
    Problem,
    Thresholds,
    Verdict,
    format_list,
    humanize,
    in_brackets,
)

HEALTH_MESSAGES = {
    Role.SERVER: (("leader", VerdictReason.NO_LEADER),),
    Role.CLIENT: (("no known servers", VerdictReason.SERVERS_UNREACHABLE),),
}
"""The reasons for phrases in Nomad's messages about an unhealthy role, in lower case."""

SHORT_ID = 8
"""The length of an ID in a message, in characters, as in Nomad's own output."""


def ready(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Verdict:
    """Return whether the agent can do its work in each of its roles; the first problem decides."""
    problem = next(_problems(snapshot, now, thresholds), None)
    if problem:
        return problem.to_verdict(Question.READY)
    roles = sorted(snapshot.roles)
    message = f"The {' and '.join(roles)} {'is' if len(roles) == 1 else 'are'} ready."
    return Verdict(Question.READY, VerdictReason.OK, message)


def _problems(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    yield from _health_poll_problems(snapshot, now, thresholds)
    yield from identity_problems(snapshot)
    health, agent_self = snapshot[HEALTH].answer, snapshot[SELF].answer
    if health:
        yield from _health_problems(health)
    yield from _self_poll_problems(snapshot, now, thresholds)
    if agent_self and Role.SERVER in agent_self.roles:
        yield from _server_problems(agent_self, thresholds, _has_reached_leader_since(snapshot))
    if agent_self and Role.CLIENT in agent_self.roles:
        yield from _client_problems(agent_self, thresholds)


def _health_poll_problems(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    state = snapshot[HEALTH]
    if state.last is None:
        yield Problem(VerdictReason.STARTING, "/v1/agent/health has not been polled yet.")
    elif state.failure:
        yield poll_problem(state.failure, f"Poll of /v1/agent/health failed{in_brackets(state.failure)}.")
    elif state.age(now) > thresholds.max_health_age:
        age = humanize(state.age(now))
        yield Problem(VerdictReason.EXPORTER_STALLED, f"The exporter has not polled /v1/agent/health for {age}.")


def identity_problems(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the problem of an address at which several agents answer, if it is such an address."""
    if snapshot.identity.has_several:
        ids = format_list([agent_id[:SHORT_ID] for agent_id in reversed(snapshot.identity.ids)])
        yield Problem(VerdictReason.SEVERAL_AGENTS, f"Several agents answer at the agent's address (IDs {ids}).")


def _health_problems(health: Health) -> Iterator[Problem]:
    for role, check in sorted(health.plain.checks.items()):
        if not check.ok:
            reason = _health_reason(health, role, check.message)
            yield Problem(reason, f"The {role}'s health check fails: {check.message}.")


def _health_reason(health: Health, role: Role, message: str) -> VerdictReason:
    # A server that is healthy only with ?stale does not reach its leader.
    if role is Role.SERVER and health.stale.checks[role].ok:
        return VerdictReason.LEADER_UNREACHABLE
    phrases = HEALTH_MESSAGES[role]
    return next((reason for phrase, reason in phrases if phrase in message.lower()), VerdictReason.UNHEALTHY)


def _self_poll_problems(snapshot: Snapshot, now: Instant, thresholds: Thresholds) -> Iterator[Problem]:
    state = snapshot[SELF]
    if snapshot.roles == {Role.CLIENT} and state.failure and _is_token_check_failure(state.failure):
        failed = f"The client could not validate the exporter's token{in_brackets(state.failure)}"
        yield Problem(VerdictReason.SERVERS_UNREACHABLE, f"{failed}: it cannot reach a server.")
    elif state.last is None:
        yield Problem(VerdictReason.STARTING, "/v1/agent/self has not been polled yet.")
    elif snapshot.history.refused:
        yield _refused_problem(snapshot, snapshot.history.refused)
    elif state.age(now) > thresholds.max_age:
        since = f"for {humanize(state.age(now))}" if state.answered else "yet"
        message = f"No valid response from /v1/agent/self {since}{in_brackets(state.failure)}."
        yield poll_problem(state.failure, message)


def _is_token_check_failure(failure: Failure) -> bool:
    # With ACLs enabled, a client asks its servers to validate the token. Without a server, it hangs or returns 500.
    return failure.reason is FailureReason.TIMEOUT or failure.status == 500


def _refused_problem(snapshot: Snapshot, refused: Instant) -> Problem:
    # An agent that refused a connection is down or has restarted, so its last self answer is no longer valid.
    health, agent_self = snapshot[HEALTH].answered, snapshot[SELF]
    if agent_self.failure and agent_self.last and agent_self.last.began.since(refused) > 0:
        message = (
            f"The agent restarted, and no poll of /v1/agent/self has succeeded since{in_brackets(agent_self.failure)}."
        )
        return poll_problem(agent_self.failure, message)
    if health and health.since(refused) > 0:
        return Problem(VerdictReason.STARTING, "The agent restarted; /v1/agent/self has not been polled since.")
    message = "The agent refused a connection after its last response from /v1/agent/health."
    return Problem(VerdictReason.UNRESPONSIVE, message)


def _server_problems(agent_self: AgentSelf, thresholds: Thresholds, has_reached_leader: bool) -> Iterator[Problem]:
    is_voter_expected = not (agent_self.member and agent_self.member.nonvoter)
    if is_voter_expected and is_nonvoter(agent_self):
        server = find_own_server(agent_self)
        state = f"is a {server.suffrage} in" if server else "is not in"
        yield Problem(VerdictReason.NOT_YET_VOTER, f"The server {state} its own Raft configuration.")
    contact, limit = agent_self.numbers.get("raft.last_contact", 0.0), thresholds.max_leader_contact
    # A healthy answer through the leader is newer evidence than an old last contact.
    if contact > limit and not has_reached_leader:
        message = f"The server last heard from its leader {humanize(contact)} ago (maximum {humanize(limit)})."
        yield Problem(VerdictReason.LEADER_CONTACT_LOST, message)
    lag = apply_lag(agent_self) or 0
    if lag > thresholds.max_apply_lag:
        message = f"The server has {lag} committed entries left to apply (maximum {thresholds.max_apply_lag})."
        yield Problem(VerdictReason.RAFT_APPLY_LAG, message)


def _has_reached_leader_since(snapshot: Snapshot) -> bool:
    """Return whether the server has reached its leader since its newest self answer."""
    health, agent_self = snapshot[HEALTH].answered, snapshot[SELF].answered
    return bool(snapshot.reaches_leader and health and agent_self and health.since(agent_self) > 0)


def apply_lag(agent_self: AgentSelf) -> int | None:
    """Return the number of committed entries that a server has not applied yet, or None if it is not known."""
    committed, applied = agent_self.numbers.get("raft.commit_index"), agent_self.numbers.get("raft.applied_index")
    return None if committed is None or applied is None else max(0, int(committed - applied))


def _client_problems(agent_self: AgentSelf, thresholds: Thresholds) -> Iterator[Problem]:
    ttl, heartbeat = agent_self.numbers.get("client.heartbeat_ttl"), agent_self.numbers.get("client.last_heartbeat")
    grace = thresholds.heartbeat_grace
    if ttl is None:
        yield Problem(VerdictReason.NOT_REGISTERED, "The client has not registered with a server since it started.")
    # Both numbers are from one answer, and the answer's age is not added: a client sends its heartbeat as the TTL ends.
    elif heartbeat is not None and heartbeat > ttl + grace:
        limits = f"TTL {humanize(ttl)}, grace {humanize(grace)}"
        message = f"The client's last heartbeat was {humanize(heartbeat)} ago ({limits})."
        yield Problem(VerdictReason.SERVERS_UNREACHABLE, message)
