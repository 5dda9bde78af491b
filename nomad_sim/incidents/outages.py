"""So many agents are lost that nothing works any more, until they are back."""

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
    FAR,
    FAR_SERVERS,
    FOLLOWERS,
    HOME,
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
    "Two of three servers die: no leader, no work, until one of them is back.",
    (
        Step(
            "The leader and a follower are killed; the last server lives, but knows no leader.",
            (kill(Role.LEADER, Role.FOLLOWER),),
            (
                down(Role.LEADER, Role.FOLLOWER, quorum="quorum_lost"),
                leaderless(Role.OTHER_FOLLOWER),
                Expectation((Role.OTHER_FOLLOWER,), samples=(_CANDIDATE,), after=ELECTION, transient=True),
            ),
        ),
        Step(
            "No client is heard any more, though each calls itself healthy.",
            (),
            (servers_unreachable(Role.CLIENT, after=OVERDUE, samples=(equals("nomad_agent_up"),)),),
        ),
        Step(
            "The follower is started again: two of three elect a leader, and the clients are heard again.",
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
            "The old leader is started again; when all vote, any of them may be stopped.",
            (start(Role.LEADER),),
            (healthy(SERVERS, PROMOTION, (voters(3),)), Expectation((Role.LEADER, Role.FOLLOWER), samples=RESTART)),
        ),
    ),
)

REGION_LOST = Incident(
    "region-lost",
    "All servers of a region and a client lose their power; the other region goes on and notices.",
    (
        Step(
            "The servers of the second region and a client are killed. The first region needs none of them.",
            (kill(*FAR),),
            (down(*FAR_SERVERS, quorum="unknown"), down(Role.FAR_CLIENT), healthy(SERVERS), client_ready(Role.CLIENT)),
        ),
        Step(
            "After half a minute gossip tells that its servers failed, and that one region is left.",
            (),
            (
                healthy(SERVERS, CLEANUP, (equals("nomad_agent_known_regions"), *members_failed(*FAR_SERVERS))),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "The power is back: the region elects a leader and is known again.",
            (start(*FAR),),
            (
                healthy(FAR_SERVERS, 2 * PROMOTION, RESTART),
                healthy(SERVERS, PROMOTION, (equals("nomad_agent_known_regions", 2),)),
                client_ready(Role.FAR_CLIENT, after=PROMOTION),
            ),
        ),
    ),
    Requirements(regions=2),
)

FULL_RESTART = Incident(
    "full-restart",
    "All servers and a client die at once and are started again.",
    (
        Step(
            "All are killed: nothing fresh is known of the cluster any more.",
            (kill(*HOME),),
            (down(*SERVERS, quorum="unknown"), down(Role.CLIENT)),
        ),
        Step(
            "All are started again: the servers elect a leader, and the client registers.",
            (start(*HOME),),
            (
                healthy(SERVERS, 2 * PROMOTION, (voters(3), *RESTART)),
                client_ready(Role.CLIENT, after=PROMOTION, samples=(equals("nomad_agent_client_registered"), *RESTART)),
            ),
        ),
    ),
)
