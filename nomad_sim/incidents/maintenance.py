"""What people do to a cluster themselves: replace a server, restart one after the other, forget one in an upgrade."""

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
"""A server that leaves is gone after some seconds; the one that leads then takes it out of the configuration."""

_REMAINING = (Role.LEADER, Role.OTHER_FOLLOWER)
_NEW_SERVERS = (*_REMAINING, Role.NEWCOMER)

_PRUNING_VERSIONS = SUPPORTED_VERSIONS[:3]
"""Only these forget a member that was forced out, where that is asked for."""

SERVER_REPLACED = Incident(
    "server-replaced",
    "A follower's machine is lost for good: it is forced out, and another server joins.",
    (
        Step(
            "A follower is killed, and will not come back.",
            (kill(Role.FOLLOWER),),
            (down(Role.FOLLOWER, quorum="ok"), would_lose_quorum(*_REMAINING)),
        ),
        Step(
            "After half a minute gossip notices that it failed, and autopilot takes its vote.",
            (),
            (would_lose_quorum(*_REMAINING, after=CLEANUP, samples=(voters(2), *members_failed(Role.FOLLOWER))),),
        ),
        Step(
            "The exporter watches it no more. The leader is told that it has left for good, and all forget it.",
            (
                Action("remove", (Role.FOLLOWER,)),
                ApiCall(Role.LEADER, "PUT", "/v1/agent/force-leave?node={follower.member}&prune=true"),
            ),
            (would_lose_quorum(*_REMAINING, samples=(increases("nomad_agent_members_vanished_total"),)),),
        ),
        Step(
            "A new server is started, and told to join the leader.",
            (
                Action(ADD, (Role.NEWCOMER,)),
                ApiCall(Role.NEWCOMER, "PUT", "/v1/agent/join?address={leader.serf}"),
            ),
            (
                not_yet_voter(Role.NEWCOMER),
                healthy(
                    _NEW_SERVERS,
                    PROMOTION,
                    (voters(3), equals("nomad_agent_member_status", member="{newcomer.member}", status="alive")),
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
            f"The {ordinal} server leaves in good order and ends; none of the others may be stopped now.",
            (Action("leave", (role,)),),
            (down(role), would_lose_quorum(*others, after=LEAVE, samples=(voters(2),))),
        ),
        Step(
            "It is started again, and is a voter after a while.",
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
    "Every server is restarted, one after the other, the leader last; each waits until the one before votes.",
    (
        *_restart(Role.FOLLOWER, "first"),
        *_restart(Role.OTHER_FOLLOWER, "second"),
        *_restart(Role.LEADER, "last"),
    ),
    strict=True,
)

VERSION_SKEW = Incident(
    "version-skew",
    "An upgrade was left half done: a server and a client run an older version.",
    (
        Step(
            "A follower and a client are restarted with Nomad 1.10.5. All works, and three numbers tell it.",
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
            "The upgrade is done: both run what the others run.",
            (Action("restart", (Role.FOLLOWER, Role.CLIENT)),),
            (
                healthy(SERVERS, PROMOTION, (absent("nomad_agent_member_info", build="1.10.5"),)),
                client_ready(Role.CLIENT, after=PROMOTION, samples=(equals("nomad_agent_info", version="2.0.5"),)),
            ),
        ),
    ),
    Requirements(versions=SUPPORTED_VERSIONS[:1]),
)
