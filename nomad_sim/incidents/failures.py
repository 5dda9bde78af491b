"""Incidents in which one server fails; the two others keep the quorum, and neither can be stopped."""

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
    """Return the step that starts a removed server again."""
    return Step(
        "The server is started again, as a non-voter until autopilot promotes it.",
        (start(role),),
        (not_yet_voter(role), healthy((role,), PROMOTION, RESTART), healthy(SERVERS, PROMOTION, (voters(3),))),
    )


LEADER_KILLED = Incident(
    "leader-killed",
    "The leader is killed; another server is elected, and the old leader returns as a non-voter.",
    (
        Step(
            "The leader is killed; the others elect a new leader within seconds, and neither of them can be stopped.",
            (kill(Role.LEADER),),
            (
                down(Role.LEADER, quorum="ok"),
                would_lose_quorum(*FOLLOWERS, after=ELECTION, samples=_NEW_LEADER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "After half a minute gossip detects the failure and autopilot removes the server, which leaves two voters.",
            (),
            (would_lose_quorum(*FOLLOWERS, after=CLEANUP, samples=_VOTER_REMOVED),),
        ),
        _restart(Role.LEADER),
    ),
)


FOLLOWER_CUT_OFF = Incident(
    "follower-cut-off",
    "A follower is partitioned from all others and returns as a non-voter.",
    (
        Step(
            "A follower is partitioned. It responds, but has no leader; stopping it would do no harm.",
            (Action("partition", (Role.FOLLOWER,)),),
            (
                isolated(Role.FOLLOWER),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "Each side marks the other as failed, and autopilot removes the follower.",
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
            "The partition ends.",
            (Action("heal", (Role.FOLLOWER,)),),
            (not_yet_voter(Role.FOLLOWER), healthy(SERVERS, PROMOTION, (voters(3),))),
        ),
    ),
)

SERVER_FAILED_AND_BACK = Incident(
    "server-failed-and-back",
    "A follower is killed and started again before autopilot removes it.",
    (
        Step(
            "A follower is killed. Gossip still lists it as alive, but no other server can be stopped now.",
            (kill(Role.FOLLOWER),),
            (
                down(Role.FOLLOWER, quorum="ok"),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "The follower is started again in time and is still a voter.",
            (start(Role.FOLLOWER),),
            (healthy(SERVERS, PROMOTION, (voters(3),)), Expectation((Role.FOLLOWER,), samples=RESTART)),
        ),
    ),
)

AGENT_FROZEN = Incident(
    "agent-frozen",
    "A follower's process is suspended: it accepts connections and does not respond.",
    (
        Step(
            "A follower is suspended, as by SIGSTOP. Connections to it stay open without a response.",
            (Action("pause", (Role.FOLLOWER,)),),
            (
                hung(Role.FOLLOWER, quorum="ok"),
                would_lose_quorum(Role.LEADER, Role.OTHER_FOLLOWER),
                client_ready(Role.CLIENT),
            ),
        ),
        Step(
            "The follower resumes; the exporter, which polls a slow agent less often, detects it at its next poll.",
            (Action("resume", (Role.FOLLOWER,)),),
            (healthy(SERVERS, PROMOTION, (voters(3),)),),
        ),
    ),
)

LEADER_BLACKHOLED = Incident(
    "leader-blackholed",
    "The leader is partitioned from all others: it steps down, and another server is elected.",
    (
        Step(
            "The leader loses contact with the others and steps down; the others elect a new leader.",
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
            "The partition ends before gossip detects a failure; the old leader follows the new one.",
            (Action("heal", (Role.LEADER,)),),
            (
                healthy(SERVERS, PROMOTION, (voters(3),)),
                Expectation((Role.LEADER,), samples=(equals("nomad_agent_leader", 0),), after=ELECTION),
            ),
        ),
    ),
)
