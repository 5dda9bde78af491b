"""The poller: which sources are polled, that readings are recorded and changes are reported."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.models import Check, Role
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Reply, Source, enabled_sources
from nomad_exporter.nomad.sources.health import STALE_PATH
from nomad_exporter.polling.poller import JobOutcome, Poller, sources_to_poll
from nomad_exporter.polling.snapshot import Reading, Snapshot
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change, Event
from tests.support.answers import AGENT, HEALTHY, REFUSED, START, FakeClock, FakeWire, health, recorded, self_answer
from tests.support.polls import poll_wanted

SECONDS = 4.0

COMPLETED, HUNG = JobOutcome.COMPLETED, JobOutcome.HUNG


class Harness:
    """A poller of one agent, its fake wire, and the changes that the poller reported."""

    def __init__(
        self, replies: Replies, configured: Agent = AGENT, *, autopilot: bool = False, takes: float = 0.0
    ) -> None:
        clock = FakeClock()
        self.wire = FakeWire(replies, clock, takes)
        self.store: Store[None] = Store([configured], lambda *_: None)
        self.changes: list[tuple[Agent, Change]] = []
        wires = {AGENT.name: self.wire}
        self.poller = Poller(
            store=self.store,
            wires=wires,
            clock=clock,
            seconds=SECONDS,
            sources=enabled_sources(autopilot=autopilot),
            on_changes=self.on_changes,
        )

    def on_changes(self, agent: Agent, changes: Sequence[Change]) -> None:
        self.changes += [(agent, change) for change in changes]

    @property
    def snapshot(self) -> Snapshot:
        entry = self.store.get(AGENT.name)
        assert entry
        return entry.snapshot


Replies = dict[str, Reply | Failure]


def replies_of(name: str) -> Replies:
    """Return the replies of a recorded agent, which refuses all other requests."""
    others: Replies = {source.path: REFUSED for source in SOURCES}
    return others | {path: recorded(name, path) for path in (SELF.path, MEMBERS.path, HEALTH.path, STALE_PATH)}


SERVER = replies_of("2.0.5/healthy/s1-follower")
AUTOPILOT_REPLY = {AUTOPILOT.path: recorded("2.0.5/healthy/s2-leader", AUTOPILOT.path)}
LEADER = {**replies_of("2.0.5/healthy/s2-leader"), **AUTOPILOT_REPLY}
FOLLOWER = {**SERVER, **AUTOPILOT_REPLY}
CLIENT = replies_of("2.0.5/healthy/c1-client")
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no complete response within 4s")
DEAD: dict[str, Reply | Failure] = dict.fromkeys(SERVER, REFUSED)


def snapshot_after(*readings: Reading[Any]) -> Snapshot:
    return reduce(Snapshot.after, readings, Snapshot(AGENT))


def answered(source: Source[Any], answer: Any) -> Reading[Any]:
    return Reading(source, answer, START, 0.0)


SERVER_SELF = answered(SELF, self_answer(Role.SERVER))
HEALTHY_SERVER = answered(HEALTH, health({Role.SERVER: HEALTHY}))
UNHEALTHY_SERVER = answered(HEALTH, health({Role.SERVER: Check(ok=False, message="no leader")}))
HEALTHY_CLIENT = answered(HEALTH, health({Role.CLIENT: HEALTHY}))


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        pytest.param([], [HEALTH, SELF], id="nothing known"),
        pytest.param([HEALTHY_CLIENT], [HEALTH, SELF], id="client"),
        pytest.param([SERVER_SELF], [HEALTH, SELF, MEMBERS], id="server"),
        pytest.param([UNHEALTHY_SERVER], [HEALTH, SELF, MEMBERS], id="server without a leader"),
        pytest.param([HEALTHY_SERVER], [HEALTH, SELF, MEMBERS, AUTOPILOT], id="server that reaches its leader"),
        pytest.param(
            [HEALTHY_SERVER, answered(HEALTH, REFUSED)], [HEALTH, SELF, MEMBERS], id="server that fails after that"
        ),
    ],
)
def test_sources_to_poll_depend_on_the_snapshot(readings: list[Reading[Any]], expected: list[Source[Any]]) -> None:
    assert sources_to_poll(snapshot_after(*readings), (HEALTH, SELF, MEMBERS, AUTOPILOT)) == tuple(expected)


def test_only_enabled_sources_are_polled() -> None:
    assert sources_to_poll(snapshot_after(HEALTHY_SERVER), (SELF, AUTOPILOT)) == (SELF, AUTOPILOT)


@pytest.mark.parametrize(
    ("source", "paths"),
    [(HEALTH, [STALE_PATH, HEALTH.path]), (SELF, [SELF.path]), (MEMBERS, [MEMBERS.path])],
    ids=str,
)
def test_poll_polls_one_source(source: Source[Any], paths: list[str]) -> None:
    harness = Harness(SERVER)
    harness.poller.poll(AGENT, source)

    assert harness.wire.paths == paths
    assert harness.snapshot[source].answer


def test_server_is_polled_for_self_and_members() -> None:
    harness = Harness(SERVER)
    poll_wanted(harness.poller, AGENT, [SELF, MEMBERS])

    assert harness.wire.requests == [(SELF.path, SECONDS), (MEMBERS.path, SECONDS)]


def test_client_is_not_polled_for_members() -> None:
    harness = Harness(CLIENT)
    poll_wanted(harness.poller, AGENT)
    poll_wanted(harness.poller, AGENT)

    assert MEMBERS.path not in harness.wire.paths


def test_agent_of_unknown_role_is_not_polled_for_members() -> None:
    harness = Harness({**SERVER, SELF.path: REFUSED})
    poll_wanted(harness.poller, AGENT, [SELF, MEMBERS])

    assert harness.wire.paths == [SELF.path]


def test_members_are_polled_if_health_proves_a_server() -> None:
    harness = Harness({**SERVER, SELF.path: REFUSED})
    poll_wanted(harness.poller, AGENT)

    assert harness.wire.paths[-2:] == [SELF.path, MEMBERS.path]
    assert harness.snapshot[MEMBERS].answer


@pytest.mark.parametrize("replies", [LEADER, FOLLOWER], ids=["leader", "follower"])
def test_server_that_reaches_leader_is_polled_for_autopilot(replies: Replies) -> None:
    harness = Harness(replies, autopilot=True)
    poll_wanted(harness.poller, AGENT)

    assert harness.wire.requests[2:] == [(SELF.path, SECONDS), (MEMBERS.path, SECONDS), (AUTOPILOT.path, SECONDS)]
    assert harness.snapshot[AUTOPILOT].answer


@pytest.mark.parametrize(
    ("replies", "autopilot"),
    [
        pytest.param(LEADER, False, id="leader, autopilot not enabled"),
        pytest.param(CLIENT, True, id="client"),
        pytest.param(replies_of("2.0.5/no-leader/s3-follower"), True, id="server without a leader"),
        pytest.param({**LEADER, STALE_PATH: REFUSED}, True, id="leader whose health poll failed"),
    ],
)
def test_other_agents_are_not_polled_for_autopilot(replies: Replies, autopilot: bool) -> None:
    harness = Harness(replies, autopilot=autopilot)
    poll_wanted(harness.poller, AGENT)

    assert AUTOPILOT.path not in harness.wire.paths


def test_denied_autopilot_leaves_other_sources_alone() -> None:
    harness = Harness({**LEADER, AUTOPILOT.path: Reply(403, b"Permission denied")}, autopilot=True)
    poll_wanted(harness.poller, AGENT)

    assert [state.source for state in harness.snapshot.source_states if state.failure] == [AUTOPILOT]
    assert harness.snapshot[SELF].answer
    assert harness.snapshot[MEMBERS].answer


@pytest.mark.parametrize("lateness", [0.0, 1.5])
def test_reading_includes_the_lateness(lateness: float) -> None:
    harness = Harness(SERVER)
    harness.poller.poll(AGENT, SELF, lateness)

    last = harness.snapshot[SELF].last
    assert last
    assert last.lateness == lateness


@pytest.mark.parametrize(
    ("source", "replies", "outcome"),
    [
        pytest.param(HEALTH, SERVER, COMPLETED, id="health in time"),
        pytest.param(HEALTH, {STALE_PATH: TIMED_OUT}, HUNG, id="health timed out"),
        pytest.param(HEALTH, DEAD, COMPLETED, id="health refused at once"),
        pytest.param(SELF, SERVER, COMPLETED, id="self in time"),
        pytest.param(SELF, {SELF.path: TIMED_OUT}, HUNG, id="self timed out"),
        pytest.param(SELF, {**SERVER, MEMBERS.path: TIMED_OUT}, COMPLETED, id="members time out, not self"),
        pytest.param(MEMBERS, {**SERVER, SELF.path: TIMED_OUT}, COMPLETED, id="self times out, not members"),
    ],
)
def test_poll_returns_whether_it_hung(source: Source[Any], replies: Replies, outcome: JobOutcome) -> None:
    assert Harness(replies).poller.poll(AGENT, source) is outcome


def test_agent_without_wire_is_not_polled() -> None:
    harness = Harness(SERVER)
    removed = replace(AGENT, name="s2")

    assert harness.poller.poll(removed, HEALTH) is COMPLETED
    assert harness.wire.requests == []


def test_poll_is_logged_at_debug_with_duration_and_size(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    harness = Harness(SERVER, takes=0.25)
    harness.poller.poll(AGENT, SELF)

    (record,) = [record for record in caplog.records if record.getMessage() == "polled"]
    size = len(recorded("2.0.5/healthy/s1-follower").body)
    assert record.__dict__["fields"] == {"agent": AGENT.name, "source": SELF, "seconds": "0.250", "bytes": size}


def test_size_of_a_poll_is_that_of_all_its_responses() -> None:
    harness = Harness(SERVER)
    harness.poller.poll(AGENT, HEALTH)

    last = harness.snapshot[HEALTH].last
    bodies = [recorded("2.0.5/healthy/s1-follower", path).body for path in harness.wire.paths]
    assert len(bodies) == 2
    assert last
    assert last.size == sum(map(len, bodies))


def test_failure_is_recorded() -> None:
    harness = Harness(DEAD)
    harness.poller.poll(AGENT, HEALTH)

    assert harness.snapshot[HEALTH].failure == REFUSED


def test_change_is_reported_once_with_its_agent() -> None:
    harness = Harness(DEAD)
    poll_wanted(harness.poller, AGENT)
    harness.poller.poll(AGENT, HEALTH)

    assert [(agent, change.event, change.fields["source"]) for agent, change in harness.changes] == [
        (AGENT, Event.POLL_FAILED, "health")
    ]


def test_reading_of_replaced_agent_is_discarded() -> None:
    harness = Harness(DEAD, configured=replace(AGENT, address=replace(AGENT.address, port=4647)))
    harness.poller.poll(AGENT, HEALTH)

    assert harness.snapshot[HEALTH].last is None
    assert harness.changes == []


def test_removed_agent_is_not_polled_further() -> None:
    harness = Harness(SERVER, configured=replace(AGENT, name="s2"))
    poll_wanted(harness.poller, AGENT, [SELF, MEMBERS])

    assert harness.wire.paths == [SELF.path]
    assert harness.changes == []


@pytest.mark.parametrize(("seconds", "outcome"), [(0.4 * SECONDS, COMPLETED), (0.6 * SECONDS, HUNG)])
def test_slow_failure_of_any_reason_is_a_hang(seconds: float, outcome: JobOutcome) -> None:
    harness = Harness(DEAD, takes=seconds)

    assert harness.poller.poll(AGENT, HEALTH) is outcome


# Node names of clients.

NODE_ID = "c0ffee00-0000-4000-8000-000000000001"
NODE_PATH = f"/v1/node/{NODE_ID}?stale"
UNNAMED: Replies = {SELF.path: Reply(200, b'{"stats": {"client": {"node_id": "%b"}}}' % NODE_ID.encode())}


def test_unnamed_client_is_named_after_its_node_with_one_request() -> None:
    harness = Harness({**UNNAMED, NODE_PATH: Reply(200, b'{"Name": "worker-17"}')})
    harness.poller.poll(AGENT, SELF)
    harness.poller.poll(AGENT, SELF)

    assert harness.wire.paths == [SELF.path, NODE_PATH, SELF.path]
    answer = harness.snapshot[SELF].answer
    assert answer
    assert answer.name == "worker-17"


@pytest.mark.parametrize("reply", [Reply(403, b""), Reply(404, b""), TIMED_OUT])
def test_failed_request_for_the_name_is_no_failed_poll(reply: Reply | Failure) -> None:
    harness = Harness({**UNNAMED, NODE_PATH: reply})
    outcomes = {harness.poller.poll(AGENT, SELF) for _ in range(2)}

    assert outcomes == {COMPLETED}
    assert harness.wire.paths == [SELF.path, NODE_PATH, SELF.path]
    assert (harness.snapshot[SELF].polls, harness.snapshot[SELF].failures) == (2, 0)
    assert [change.event for _, change in harness.changes] == [Event.AGENT_UP]
