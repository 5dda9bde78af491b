"""One server dies, hangs or is cut off; the two others go on, and none of these may be stopped."""

from __future__ import annotations

from nomad_sim.incidents.expectations import (
    CLEANUP,
    ELECTION,
    PROMOTION,
    RESTART,
    client_ready,
    down,
    equals,
    healthy,
    hung,
    increases,
    isolated,
    kill,
    left_state,
    members_failed,
    not_yet_voter,
    start,
    voters,
    would_lose_quorum,
)
from nomad_sim.incidents.scenario import (
    FOLLOWERS,
    SERVERS,
    Action,
    Expectation,
    Incident,
    Role,
    Step,
)

_NEW_LEADER = (
    equals("nomad_agent_leader_known"),
    increases("nomad_agent_leader_changes_total"),
    increases("nomad_agent_raft_term_increases_total"),
)
_VOTER_REMOVED = (voters(2), *members_failed(Role.LEADER))


def _restart(role: Role) -> Step:
    """The server that lost its vote is started again."""
    return Step(
        "It is started again: it follows, but has no vote until autopilot has found it stable.",
        (start(role),),
        (not_yet_voter(role), healthy((role,), PROMOTION, RESTART), healthy(SERVERS, PROMOTION, (voters(3),))),
    )


LEADER_KILLED = Incident(
    "leader-killed",
    "The leader's process is killed; another server leads, and the dead one comes back.",
    (
        Step(
            "The leader is killed; the others elect another one within some seconds, and none of them may be stopped.",
            (kill(Role.LEADER),),
            (
                down(Role.LEADER, quorum="ok"),
                would_lose_quorum(*FOLLOWERS, after=ELECTION, samples=_NEW_LEADER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "After half a minute gossip notices, and autopilot takes the dead one's vote: two voters have no margin.",
            (),
            (would_lose_quorum(*FOLLOWERS, after=CLEANUP, samples=_VOTER_REMOVED),),
        ),
        _restart(Role.LEADER),
    ),
)


FOLLOWER_CUT_OFF = Incident(
    "follower-cut-off",
    "A follower is cut off from all others, and comes back without a vote.",
    (
        Step(
            "A network failure cuts a follower off. It answers, but has no leader; to stop it would cost nothing.",
            (Action("partition", (Role.FOLLOWER,)),),
            (
                isolated(Role.FOLLOWER),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "Each side holds the other for failed, and autopilot takes the lost server's vote.",
            (),
            (
                would_lose_quorum(
                    Role.LEADER, Role.OTHER_FOLLOWER, after=CLEANUP, samples=(voters(2), *members_failed(Role.FOLLOWER))
                ),
                Expectation(
                    (Role.FOLLOWER,),
                    ready="no_leader",
                    samples=members_failed(Role.LEADER, Role.OTHER_FOLLOWER),
                    after=CLEANUP,
                ),
            ),
        ),
        Step(
            "The network is whole again.",
            (Action("heal", (Role.FOLLOWER,)),),
            (not_yet_voter(Role.FOLLOWER), healthy(SERVERS, PROMOTION, (voters(3),))),
        ),
    ),
)

SERVER_FAILED_AND_BACK = Incident(
    "server-failed-and-back",
    "A follower dies and comes back before autopilot takes its vote.",
    (
        Step(
            "A follower is killed. Gossip still calls it alive, but no other server may be stopped now.",
            (kill(Role.FOLLOWER),),
            (
                down(Role.FOLLOWER, quorum="ok"),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "It is started again in time, and votes as soon as it is there.",
            (start(Role.FOLLOWER),),
            (healthy(SERVERS, PROMOTION, (voters(3),)), Expectation((Role.FOLLOWER,), samples=RESTART)),
        ),
    ),
)

AGENT_FROZEN = Incident(
    "agent-frozen",
    "A follower's process hangs: it takes connections and never answers.",
    (
        Step(
            "A follower is stopped by SIGSTOP. Connections to it stay open and silent.",
            (Action("pause", (Role.FOLLOWER,)),),
            (
                hung(Role.FOLLOWER, quorum="ok"),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "It goes on; the exporter, which asks a sick agent less often, sees it at the next attempt.",
            (Action("resume", (Role.FOLLOWER,)),),
            (healthy(SERVERS, PROMOTION, (voters(3),)),),
        ),
    ),
)

LEADER_BLACKHOLED = Incident(
    "leader-blackholed",
    "Every packet between the leader and the others is lost: it steps down, and the others go on without it.",
    (
        Step(
            "The leader hears nobody and leads no more; the others wait for it in vain, then elect another one.",
            (Action("partition", (Role.LEADER,)),),
            (
                isolated(Role.LEADER),
                Expectation(
                    (Role.LEADER,), samples=(equals("nomad_agent_leader", 0), left_state("Leader")), after=ELECTION
                ),
                would_lose_quorum(*FOLLOWERS, after=ELECTION, samples=_NEW_LEADER),
            ),
        ),
        Step(
            "The network is whole again before gossip noticed; the old leader follows the new one.",
            (Action("heal", (Role.LEADER,)),),
            (
                healthy(SERVERS, PROMOTION, (voters(3),)),
                Expectation((Role.LEADER,), samples=(equals("nomad_agent_leader", 0),), after=ELECTION),
            ),
        ),
    ),
)
