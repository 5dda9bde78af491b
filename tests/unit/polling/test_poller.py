"""Poller: which sources go together, that every reading is recorded, and that changes are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.nomad.sources import (
    AUTOPILOT_PATH,
    HEALTH_PATH,
    MEMBERS_PATH,
    SELF_PATH,
    STALE_HEALTH_PATH,
    Reply,
    Source,
)
from nomad_exporter.polling.poller import Poller
from nomad_exporter.polling.snapshot import Snapshot
from nomad_exporter.polling.store import Store
from nomad_exporter.polling.transitions import Change
from tests.support.answers import AGENT, REFUSED, FakeClock, FakeWire, recorded

SECONDS = 4.0


class Watch:
    """One agent, its wire and what its rounds left behind."""

    def __init__(self, replies: dict[str, Reply | Failure], watched: Agent = AGENT, *, autopilot: bool = False) -> None:
        self.wire = FakeWire(replies)
        self.store: Store[None] = Store([watched], lambda *_: None)
        self.lines: list[tuple[Agent, Change]] = []
        self.rounds = Poller(self.store, {AGENT.name: self.wire}, FakeClock(), SECONDS, self.tell, autopilot=autopilot)

    def tell(self, agent: Agent, change: Change) -> None:
        self.lines.append((agent, change))

    @property
    def snapshot(self) -> Snapshot:
        kept = self.store.get(AGENT.name)
        assert kept
        return kept.snapshot


Replies = dict[str, Reply | Failure]


def agent(name: str) -> Replies:
    """The replies of a recorded agent."""
    return {path: recorded(name, path) for path in (SELF_PATH, MEMBERS_PATH, HEALTH_PATH, STALE_HEALTH_PATH)}


SERVER = agent("2.0.5/healthy/s1-follower")
AUTOPILOT = {AUTOPILOT_PATH: recorded("2.0.5/healthy/s2-leader", AUTOPILOT_PATH)}
LEADER = {**agent("2.0.5/healthy/s2-leader"), **AUTOPILOT}
FOLLOWER = {**SERVER, **AUTOPILOT}
CLIENT = agent("2.0.5/healthy/c1-client")
TIMED_OUT = Failure(FailureReason.TIMEOUT, "no whole answer within 4s")
DEAD: dict[str, Reply | Failure] = dict.fromkeys(SERVER, REFUSED)


def test_the_round_of_health_asks_for_health() -> None:
    watch = Watch(SERVER)
    watch.rounds.poll_health(AGENT)

    assert watch.wire.paths == [STALE_HEALTH_PATH, HEALTH_PATH]
    assert watch.snapshot.health.answer


def test_a_server_is_asked_for_self_and_members() -> None:
    watch = Watch(SERVER)
    watch.rounds.poll_state(AGENT)

    assert watch.wire.asked == [(SELF_PATH, SECONDS), (MEMBERS_PATH, SECONDS)]
    assert watch.snapshot.agent_self.answer
    assert watch.snapshot.members.answer


def test_a_client_is_never_asked_for_members_which_it_might_hold_for_ever() -> None:
    watch = Watch(CLIENT)
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)
    watch.rounds.poll_state(AGENT)

    assert MEMBERS_PATH not in watch.wire.paths


def test_an_agent_of_unknown_role_is_not_asked_for_members() -> None:
    watch = Watch({**SERVER, SELF_PATH: REFUSED})
    watch.rounds.poll_state(AGENT)

    assert watch.wire.paths == [SELF_PATH]


def test_a_server_by_its_health_is_asked_for_members_though_self_fails() -> None:
    watch = Watch({**SERVER, SELF_PATH: REFUSED})
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)

    assert watch.wire.paths[-2:] == [SELF_PATH, MEMBERS_PATH]
    assert watch.snapshot.members.answer


@pytest.mark.parametrize("replies", [LEADER, FOLLOWER], ids=["the leader", "a follower"])
def test_a_server_that_reaches_its_leader_is_asked_for_autopilot_after_the_rest(replies: Replies) -> None:
    watch = Watch(replies, autopilot=True)
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)

    assert watch.wire.asked[2:] == [(SELF_PATH, SECONDS), (MEMBERS_PATH, SECONDS), (AUTOPILOT_PATH, SECONDS)]
    assert watch.snapshot.autopilot.answer


@pytest.mark.parametrize(
    ("replies", "autopilot"),
    [
        pytest.param(LEADER, False, id="a leader, where it is not wanted"),
        pytest.param(CLIENT, True, id="a client"),
        pytest.param(agent("2.0.5/no-leader/s3-follower"), True, id="a server without a leader"),
        pytest.param({**LEADER, STALE_HEALTH_PATH: REFUSED}, True, id="a leader that did not tell its health"),
    ],
)
def test_nobody_else_is_asked_for_autopilot(replies: Replies, autopilot: bool) -> None:
    watch = Watch(replies, autopilot=autopilot)
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)

    assert AUTOPILOT_PATH not in watch.wire.paths


def test_a_token_that_may_not_ask_for_autopilot_costs_nothing_else() -> None:
    watch = Watch({**LEADER, AUTOPILOT_PATH: Reply(403, b"Permission denied")}, autopilot=True)
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)

    assert [seen.source for seen in watch.snapshot.source_states if seen.failure] == [Source.AUTOPILOT]
    assert watch.snapshot.agent_self.answer
    assert watch.snapshot.members.answer


@pytest.mark.parametrize("of", ["health", "facts"])
def test_how_late_a_round_is_stands_in_its_readings(of: str) -> None:
    watch = Watch(SERVER)
    getattr(watch.rounds, of)(AGENT, 1.5)

    assert {seen.last.lateness for seen in watch.snapshot.source_states if seen.last} == {1.5}


@pytest.mark.parametrize("of", ["health", "facts"])
def test_a_round_of_which_nobody_says_that_it_is_late_is_not(of: str) -> None:
    watch = Watch(SERVER)
    getattr(watch.rounds, of)(AGENT)

    assert {seen.last.lateness for seen in watch.snapshot.source_states if seen.last} == {0.0}


@pytest.mark.parametrize(
    ("of", "replies", "hung"),
    [
        pytest.param("health", SERVER, False, id="health in time"),
        pytest.param("health", {STALE_HEALTH_PATH: TIMED_OUT}, True, id="health in vain"),
        pytest.param("health", DEAD, False, id="health refused at once"),
        pytest.param("facts", SERVER, False, id="facts in time"),
        pytest.param("facts", {SELF_PATH: TIMED_OUT}, True, id="self in vain"),
        pytest.param("facts", {**SERVER, MEMBERS_PATH: TIMED_OUT}, True, id="members in vain"),
        pytest.param("facts", DEAD, False, id="facts refused at once"),
    ],
)
def test_a_round_tells_whether_the_agent_kept_it_waiting(
    of: str, replies: dict[str, Reply | Failure], hung: bool
) -> None:
    watch = Watch(replies)

    assert getattr(watch.rounds, of)(AGENT) is hung


@pytest.mark.parametrize("path", [SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH])
def test_a_leader_that_keeps_one_of_three_waiting_has_hung(path: str) -> None:
    replies = dict(LEADER)
    watch = Watch(replies, autopilot=True)
    watch.rounds.poll_health(AGENT)
    replies[path] = TIMED_OUT

    assert watch.rounds.poll_state(AGENT) is True
    assert watch.wire.paths[-3:] == [SELF_PATH, MEMBERS_PATH, AUTOPILOT_PATH]


def test_a_server_that_keeps_self_waiting_has_hung_though_it_tells_its_members() -> None:
    watch = Watch({**SERVER, SELF_PATH: TIMED_OUT})
    watch.rounds.poll_health(AGENT)

    assert watch.rounds.poll_state(AGENT) is True
    assert watch.snapshot.members.answer


def test_an_agent_whose_wire_is_gone_is_not_asked() -> None:
    watch = Watch(SERVER)
    gone = replace(AGENT, name="s2")

    assert watch.rounds.poll_health(gone) is False
    assert watch.wire.asked == []


def test_a_failure_is_recorded_too() -> None:
    watch = Watch(DEAD)
    watch.rounds.poll_health(AGENT)

    assert watch.snapshot.health.failure == REFUSED


def test_a_change_is_told_of_its_agent_once() -> None:
    watch = Watch(DEAD)
    watch.rounds.poll_health(AGENT)
    watch.rounds.poll_state(AGENT)
    watch.rounds.poll_health(AGENT)

    assert [(agent, line.message, line.fields["source"]) for agent, line in watch.lines] == [
        (AGENT, "poll failed", Source.HEALTH)
    ]


def test_a_reading_of_an_agent_that_was_replaced_meanwhile_is_neither_kept_nor_told() -> None:
    watch = Watch(DEAD, watched=replace(AGENT, address=replace(AGENT.address, port=4647)))
    watch.rounds.poll_health(AGENT)

    assert watch.snapshot.health.last is None
    assert watch.lines == []


def test_an_agent_that_was_removed_meanwhile_is_not_asked_on() -> None:
    watch = Watch(SERVER, watched=replace(AGENT, name="s2"))
    watch.rounds.poll_state(AGENT)

    assert watch.wire.paths == [SELF_PATH]
    assert watch.lines == []


@pytest.mark.parametrize(("seconds", "hung"), [(0.4 * SECONDS, False), (0.6 * SECONDS, True)])
def test_an_agent_that_fails_late_for_whatever_reason_has_held_up_a_thread(seconds: float, hung: bool) -> None:
    clock = FakeClock()
    store: Store[None] = Store([AGENT], lambda *_: None)
    wires = {AGENT.name: FakeWire(dict.fromkeys(SERVER, REFUSED), clock, seconds)}

    assert Poller(store, wires, clock, SECONDS, lambda *_: None).poll_health(AGENT) is hung
