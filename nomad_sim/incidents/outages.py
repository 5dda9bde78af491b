"""Incidents in which a cluster or a region loses its quorum."""

from __future__ import annotations

from nomad_sim.incidents.expectations import (
    CLEANUP,
    ELECTION,
    HEARTBEAT,
    OVERDUE,
    PROMOTION,
    RESTART,
    client_ready,
    down,
    equals,
    health_recovered,
    healthy,
    kill,
    leaderless,
    left_state,
    members_failed,
    servers_unreachable,
    start,
    voters,
    would_lose_quorum,
)
from nomad_sim.incidents.scenario import (
    FOLLOWERS,
    LOCAL,
    REMOTE,
    REMOTE_SERVERS,
    SERVERS,
    Expectation,
    Incident,
    Requirements,
    Role,
    Step,
)

_CANDIDATE = equals("nomad_agent_raft_state", state="Candidate")

QUORUM_LOST = Incident(
    "quorum-lost",
    "Two of three servers are killed: the cluster has no leader until one of them is started again.",
    (
        Step(
            "The leader and a follower are killed; the last server is live, but has no leader.",
            (kill(Role.LEADER, Role.FOLLOWER),),
            (
                down(Role.LEADER, Role.FOLLOWER, quorum="quorum_lost"),
                leaderless(Role.OTHER_FOLLOWER),
                Expectation((Role.OTHER_FOLLOWER,), samples=(_CANDIDATE,), after=ELECTION, transient=True),
            ),
        ),
        Step(
            "Without a leader the client's heartbeats fail, but the client still reports itself healthy.",
            (),
            (servers_unreachable(Role.CLIENT, after=OVERDUE, samples=(equals("nomad_agent_up"),)),),
        ),
        Step(
            "The follower is started again: two of three servers elect a leader, and the clients' heartbeats succeed.",
            (start(Role.FOLLOWER),),
            (
                would_lose_quorum(*FOLLOWERS, after=2 * ELECTION),
                Expectation(
                    (Role.OTHER_FOLLOWER,),
                    samples=(left_state("Candidate"), *health_recovered("server")),
                    after=2 * ELECTION,
                ),
                client_ready(Role.CLIENT, after=ELECTION + HEARTBEAT),
            ),
        ),
        Step(
            "The old leader is started again; with three voters, any one of them can be stopped.",
            (start(Role.LEADER),),
            (healthy(SERVERS, PROMOTION, (voters(3),)), Expectation((Role.LEADER, Role.FOLLOWER), samples=RESTART)),
        ),
    ),
)

REGION_LOST = Incident(
    "region-lost",
    "All servers and a client of one region are killed; the other region keeps working.",
    (
        Step(
            "The servers and a client of the second region are killed. The first region does not depend on them.",
            (kill(*REMOTE),),
            (
                down(*REMOTE_SERVERS, quorum="quorum_lost"),
                down(Role.REMOTE_CLIENT),
                healthy(SERVERS),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "After half a minute gossip marks the servers as failed, and one region is left.",
            (),
            (
                healthy(SERVERS, CLEANUP, (equals("nomad_agent_known_regions"), *members_failed(*REMOTE_SERVERS))),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "All are started again: the region elects a leader and is known again.",
            (start(*REMOTE),),
            (
                healthy(REMOTE_SERVERS, 2 * PROMOTION, RESTART),
                healthy(SERVERS, PROMOTION, (equals("nomad_agent_known_regions", 2),)),
                client_ready(Role.REMOTE_CLIENT, after=PROMOTION),
            ),
        ),
    ),
    Requirements(regions=2),
)

FULL_RESTART = Incident(
    "full-restart",
    "All servers and a client are killed at once and started again.",
    (
        Step(
            "All are killed: the exporter has no recent data about the cluster.",
            (kill(*LOCAL),),
            (down(*SERVERS, quorum="quorum_lost"), down(Role.CLIENT)),
        ),
        Step(
            "All are started again: the servers elect a leader, and the client registers.",
            (start(*LOCAL),),
            (
                healthy(SERVERS, 2 * PROMOTION, (voters(3), *RESTART)),
                client_ready(Role.CLIENT, after=PROMOTION, samples=(equals("nomad_agent_client_registered"), *RESTART)),
            ),
        ),
    ),
)
