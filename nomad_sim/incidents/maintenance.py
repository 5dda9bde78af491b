"""Incidents during maintenance: a replaced server, a rolling restart and an incomplete upgrade."""

from __future__ import annotations

from nomad_sim.incidents.expectations import (
    CLEANUP,
    ELECTION,
    PROMOTION,
    RESTART,
    absent,
    client_ready,
    down,
    equals,
    healthy,
    increases,
    kill,
    members_failed,
    not_yet_voter,
    start,
    voters,
    would_lose_quorum,
)
from nomad_sim.incidents.scenario import (
    ADD,
    SERVERS,
    SUPPORTED_VERSIONS,
    Action,
    ApiCall,
    Expectation,
    Incident,
    Requirements,
    Role,
    Step,
)

LEAVE = 15.0
"""The time until a server has left and the leader has removed it from the Raft configuration."""

_REMAINING = (Role.LEADER, Role.OTHER_FOLLOWER)
_NEW_SERVERS = (*_REMAINING, Role.NEW_SERVER)

_PRUNING_VERSIONS = SUPPORTED_VERSIONS[:3]
"""The versions whose force-leave supports ``prune``."""

SERVER_REPLACED = Incident(
    "server-replaced",
    "A follower is lost for good: it is forced out of the cluster, and a new server joins.",
    (
        Step(
            "A follower is killed for good.",
            (kill(Role.FOLLOWER),),
            (down(Role.FOLLOWER, quorum="ok"), would_lose_quorum(*_REMAINING)),
        ),
        Step(
            "After half a minute gossip detects the failure and autopilot removes the follower.",
            (),
            (would_lose_quorum(*_REMAINING, after=CLEANUP, samples=(voters(2), *members_failed(Role.FOLLOWER))),),
        ),
        Step(
            "The follower is removed from the exporter's configuration, and forced out of the cluster by force-leave.",
            (
                Action("remove", (Role.FOLLOWER,)),
                ApiCall(Role.LEADER, "PUT", "/v1/agent/force-leave?node={follower.member}&prune=true"),
            ),
            (would_lose_quorum(*_REMAINING, samples=(increases("nomad_agent_members_vanished_total"),)),),
        ),
        Step(
            "A new server is started and joins the leader.",
            (
                Action(ADD, (Role.NEW_SERVER,)),
                ApiCall(Role.NEW_SERVER, "PUT", "/v1/agent/join?address={leader.serf}"),
            ),
            (
                not_yet_voter(Role.NEW_SERVER),
                healthy(
                    _NEW_SERVERS,
                    PROMOTION,
                    (voters(3), equals("nomad_agent_member_status", member="{new_server.member}", status="alive")),
                ),
                Expectation(_REMAINING, samples=(increases("nomad_agent_members_appeared_total"),)),
            ),
        ),
    ),
    Requirements(versions=_PRUNING_VERSIONS),
)


def _restart(role: Role, ordinal: str) -> tuple[Step, Step]:
    others = tuple(other for other in SERVERS if other is not role)
    return (
        Step(
            f"The {ordinal} server leaves gracefully; none of the others can be stopped now.",
            (Action("leave", (role,)),),
            (down(role), would_lose_quorum(*others, after=LEAVE, samples=(voters(2),))),
        ),
        Step(
            "The server is started again, as a non-voter until autopilot promotes it.",
            (start(role),),
            (
                not_yet_voter(role),
                healthy(SERVERS, PROMOTION, (voters(3),)),
                Expectation((role,), samples=RESTART),
            ),
        ),
    )


ROLLING_RESTART = Incident(
    "rolling-restart",
    "The servers are restarted one at a time, the leader last, each when the previous one is a voter again.",
    (
        *_restart(Role.FOLLOWER, "first"),
        *_restart(Role.OTHER_FOLLOWER, "second"),
        *_restart(Role.LEADER, "last"),
    ),
    strict=True,
)

VERSION_SKEW = Incident(
    "version-skew",
    "An upgrade was left incomplete: a server and a client run an older version.",
    (
        Step(
            "A follower and a client are restarted with Nomad 1.10.5. All verdicts stay ok; only metrics differ.",
            (Action("downgrade", (Role.FOLLOWER, Role.CLIENT)),),
            (
                healthy(SERVERS, PROMOTION),
                Expectation(
                    (Role.FOLLOWER, Role.CLIENT),
                    samples=(
                        equals("nomad_agent_info", version="1.10.5"),
                        increases("nomad_agent_version_changes_total"),
                    ),
                ),
                Expectation(
                    _REMAINING,
                    samples=(equals("nomad_agent_member_info", member="{follower.member}", build="1.10.5"),),
                    after=ELECTION,
                ),
                client_ready(Role.CLIENT, after=PROMOTION),
            ),
        ),
        Step(
            "Both are restarted with the version of the others.",
            (Action("restart", (Role.FOLLOWER, Role.CLIENT)),),
            (
                healthy(SERVERS, PROMOTION, (absent("nomad_agent_member_info", build="1.10.5"),)),
                client_ready(Role.CLIENT, after=PROMOTION, samples=(equals("nomad_agent_info", version="2.0.5"),)),
            ),
        ),
    ),
    Requirements(versions=SUPPORTED_VERSIONS[:1]),
)
