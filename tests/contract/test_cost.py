"""The work for an answer grows no faster than the answer: no list is compared with itself or with another list."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import pytest

from nomad_exporter.metrics.render import render_agent
from nomad_exporter.nomad.agent import Address, Agent
from nomad_exporter.nomad.sources import AUTOPILOT, HEALTH, MEMBERS, SELF, SOURCES, Reply
from nomad_exporter.nomad.sources.agent_self import RAFT_SERVERS_LIMIT
from nomad_exporter.polling.snapshot import Reading
from nomad_exporter.polling.store import Store
from nomad_exporter.verdicts.changes import Known
from nomad_exporter.verdicts.verdict import Thresholds
from tests.support.hostile import HEALTHY_SERVER, autopilot_body, configuration, members_body, peers, server_body
from tests.support.pages import NOW, get, handle, site_of

LARGE, SMALL = RAFT_SERVERS_LIMIT, RAFT_SERVERS_LIMIT // 4
MAX_GROWTH = 4.0
"""Maximum ratio of the work for ``LARGE`` and for ``SMALL`` lists, which differ by a factor of 4."""

FLEET = [Agent(f"a{number}", Address("http", "127.0.0.1", 4646)) for number in range(3)]
WITH_AUTOPILOT = Thresholds(autopilot=True)

Bodies = Mapping[str, bytes]


def lists(number: int) -> Bodies:
    """Return answers with lists of ``number`` servers that all match each other."""
    return {
        SELF.path: server_body(configuration(number)),
        MEMBERS.path: members_body(number),
        AUTOPILOT.path: autopilot_body(number),
    }


ATTEMPTS: Mapping[str, Callable[[int], Bodies]] = {
    "the largest lists": lists,
    "empty peers": lambda number: {SELF.path: server_body(peers="," * 20 * number)},
    "equal empty servers": lambda number: {SELF.path: server_body(configuration(20 * number, empty=True))},
    "peers": lambda number: {SELF.path: server_body(peers=peers(number)), MEMBERS.path: members_body(number)},
    "many members": lambda number: {MEMBERS.path: members_body(2 * number)},
    "members at one address": lambda number: {
        SELF.path: server_body(configuration(number), leader="10.0.0.1:4647"),
        MEMBERS.path: members_body(2 * number, port="4647"),
    },
    "members of many regions": lambda number: {MEMBERS.path: members_body(number, regions=number)},
    "equal members": lambda number: {MEMBERS.path: members_body(number, name="m")},
    "unknown stats": lambda number: {SELF.path: server_body(unknown=10 * number)},
}


def poll_and_serve(bodies: Bodies) -> None:
    """Decode the answers of three agents twice, and evaluate and render every page."""
    store: Store[Any] = Store(FLEET, render_agent)
    known = Known()
    for _ in range(2):
        for agent in FLEET:
            for source in SOURCES:
                body = bodies.get(source.path, DEFAULTS[source.path])
                store.record(agent, Reading(source, source.read(Reply(200, body)), NOW, 0.0))
        fleet = [entry.snapshot for entry in store.entries()]
        known = known.after(fleet, store.polled_clusters, NOW, WITH_AUTOPILOT)
    site = site_of(store, WITH_AUTOPILOT)
    for path in ("/metrics", "/health/quorum", "/health/quorum?agent=a0", "/"):
        assert handle(site, get(path), NOW).status_code in (200, 503)


DEFAULTS = {
    HEALTH.path: HEALTHY_SERVER,
    SELF.path: server_body(),
    MEMBERS.path: members_body(0),
    AUTOPILOT.path: autopilot_body(0),
}


def work(task: Callable[[], None]) -> int:
    """Return the number of instructions of the interpreter that ``task`` takes, which no other process affects."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        task()
    finally:
        sys.settrace(previous)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTEMPTS)
def test_work_grows_no_faster_than_the_answer(name: str) -> None:
    small, large = (ATTEMPTS[name](number) for number in (SMALL, LARGE))
    poll_and_serve(small)  # The first run imports modules and fills caches.

    assert work(lambda: poll_and_serve(large)) / work(lambda: poll_and_serve(small)) < MAX_GROWTH
