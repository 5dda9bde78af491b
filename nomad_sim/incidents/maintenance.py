"""What people do to a cluster themselves: replace a server, restart one after the other, forget one in an upgrade."""

from __future__ import annotations

from nomad_exporter.demo.incidents.sights import (
    CLEANED,
    ELECTED,
    PROMOTED,
    RESTARTED,
    absent,
    dead,
    fell,
    grown,
    is_,
    kill,
    returning,
    serves,
    start,
    voters,
    well,
    works,
)
from nomad_exporter.demo.incidents.story import ADD, SERVERS, STORIED, Ask, Deed, Expected, Incident, Needs, Role, Scene

LEFT = 15.0
"""A server that leaves is gone after some seconds; the one that leads then takes it out of the configuration."""

_REMAINING = (Role.LEADER, Role.OTHER_FOLLOWER)
_RENEWED = (*_REMAINING, Role.NEWCOMER)

_FORGETFUL = STORIED[:3]
"""Only these forget a member that was forced out, where that is asked for."""

SERVER_REPLACED = Incident(
    "server-replaced",
    "A follower's machine is lost for good: it is forced out, and another server joins.",
    (
        Scene(
            "A follower is killed, and will not come back.",
            (kill(Role.FOLLOWER),),
            (dead(Role.FOLLOWER, quorum="ok"), works(*_REMAINING)),
        ),
        Scene(
            "After half a minute gossip notices that it failed, and autopilot takes its vote.",
            (),
            (works(*_REMAINING, after=CLEANED, samples=(voters(2), *fell(Role.FOLLOWER))),),
        ),
        Scene(
            "The exporter watches it no more. The leader is told that it has left for good, and all forget it.",
            (
                Deed("remove", (Role.FOLLOWER,)),
                Ask(Role.LEADER, "PUT", "/v1/agent/force-leave?node={follower.member}&prune=true"),
            ),
            (works(*_REMAINING, samples=(grown("nomad_agent_members_vanished_total"),)),),
        ),
        Scene(
            "A new server is started, and told to join the leader.",
            (
                Deed(ADD, (Role.NEWCOMER,)),
                Ask(Role.NEWCOMER, "PUT", "/v1/agent/join?address={leader.serf}"),
            ),
            (
                returning(Role.NEWCOMER),
                well(
                    _RENEWED,
                    PROMOTED,
                    (voters(3), is_("nomad_agent_member_status", member="{newcomer.member}", status="alive")),
                ),
                Expected(_REMAINING, samples=(grown("nomad_agent_members_appeared_total"),)),
            ),
        ),
    ),
    Needs(versions=_FORGETFUL),
)


def _restart(role: Role, ordinal: str) -> tuple[Scene, Scene]:
    others = tuple(other for other in SERVERS if other is not role)
    return (
        Scene(
            f"The {ordinal} server leaves in good order and ends; none of the others may be stopped now.",
            (Deed("leave", (role,)),),
            (dead(role), works(*others, after=LEFT, samples=(voters(2),))),
        ),
        Scene(
            "It is started again, and is a voter after a while.",
            (start(role),),
            (
                returning(role),
                well(SERVERS, PROMOTED, (voters(3),)),
                Expected((role,), samples=RESTARTED),
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
        Scene(
            "A follower and a client are restarted with Nomad 1.10.5. All works, and three numbers tell it.",
            (Deed("downgrade", (Role.FOLLOWER, Role.CLIENT)),),
            (
                well(SERVERS, PROMOTED),
                Expected(
                    (Role.FOLLOWER, Role.CLIENT),
                    samples=(is_("nomad_agent_info", version="1.10.5"), grown("nomad_agent_version_changes_total")),
                ),
                Expected(
                    _REMAINING,
                    samples=(is_("nomad_agent_member_info", member="{follower.member}", build="1.10.5"),),
                    after=ELECTED,
                ),
                serves(Role.CLIENT, after=PROMOTED),
            ),
        ),
        Scene(
            "The upgrade is done: both run what the others run.",
            (Deed("restart", (Role.FOLLOWER, Role.CLIENT)),),
            (
                well(SERVERS, PROMOTED, (absent("nomad_agent_member_info", build="1.10.5"),)),
                serves(Role.CLIENT, after=PROMOTED, samples=(is_("nomad_agent_info", version="2.0.5"),)),
            ),
        ),
    ),
    Needs(versions=STORIED[:1]),
)
