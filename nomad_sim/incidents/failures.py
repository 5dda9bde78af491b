"""One server dies, hangs or is cut off; the two others go on, and none of these may be stopped."""

from __future__ import annotations

from nomad_exporter.demo.incidents.sights import (
    CLEANED,
    ELECTED,
    PROMOTED,
    RESTARTED,
    alone,
    dead,
    fell,
    grown,
    is_,
    kill,
    returning,
    serves,
    silent,
    start,
    turned,
    voters,
    well,
    works,
)
from nomad_exporter.demo.incidents.story import (
    FOLLOWERS,
    SERVERS,
    Deed,
    Expected,
    Incident,
    Role,
    Scene,
)

_ANOTHER_LEADS = (
    is_("nomad_agent_leader_known"),
    grown("nomad_agent_leader_changes_total"),
    grown("nomad_agent_raft_term_increases_total"),
)
_ONE_VOTE_LESS = (voters(2), *fell(Role.LEADER))


def _back(role: Role) -> Scene:
    """The server that lost its vote is started again."""
    return Scene(
        "It is started again: it follows, but has no vote until autopilot has found it stable.",
        (start(role),),
        (returning(role), well((role,), PROMOTED, RESTARTED), well(SERVERS, PROMOTED, (voters(3),))),
    )


LEADER_KILLED = Incident(
    "leader-killed",
    "The leader's process is killed; another server leads, and the dead one comes back.",
    (
        Scene(
            "The leader is killed; the others elect another one within some seconds, and none of them may be stopped.",
            (kill(Role.LEADER),),
            (
                dead(Role.LEADER, quorum="ok"),
                works(*FOLLOWERS, after=ELECTED, samples=_ANOTHER_LEADS),
                serves(Role.CLIENT),
            ),
        ),
        Scene(
            "After half a minute gossip notices, and autopilot takes the dead one's vote: two voters have no margin.",
            (),
            (works(*FOLLOWERS, after=CLEANED, samples=_ONE_VOTE_LESS),),
        ),
        _back(Role.LEADER),
    ),
)


FOLLOWER_CUT_OFF = Incident(
    "follower-cut-off",
    "A follower is cut off from all others, and comes back without a vote.",
    (
        Scene(
            "A network failure cuts a follower off. It answers, but has no leader; to stop it would cost nothing.",
            (Deed("cut", (Role.FOLLOWER,)),),
            (
                alone(Role.FOLLOWER),
                works(Role.LEADER, Role.OTHER_FOLLOWER),
                serves(Role.CLIENT),
            ),
        ),
        Scene(
            "Each side holds the other for failed, and autopilot takes the lost server's vote.",
            (),
            (
                works(Role.LEADER, Role.OTHER_FOLLOWER, after=CLEANED, samples=(voters(2), *fell(Role.FOLLOWER))),
                Expected(
                    (Role.FOLLOWER,), ready="no_leader", samples=fell(Role.LEADER, Role.OTHER_FOLLOWER), after=CLEANED
                ),
            ),
        ),
        Scene(
            "The network is whole again.",
            (Deed("heal", (Role.FOLLOWER,)),),
            (returning(Role.FOLLOWER), well(SERVERS, PROMOTED, (voters(3),))),
        ),
    ),
)

SERVER_FAILED_AND_BACK = Incident(
    "server-failed-and-back",
    "A follower dies and comes back before autopilot takes its vote.",
    (
        Scene(
            "A follower is killed. Gossip still calls it alive, but no other server may be stopped now.",
            (kill(Role.FOLLOWER),),
            (dead(Role.FOLLOWER, quorum="ok"), works(Role.LEADER, Role.OTHER_FOLLOWER), serves(Role.CLIENT)),
        ),
        Scene(
            "It is started again in time, and votes as soon as it is there.",
            (start(Role.FOLLOWER),),
            (well(SERVERS, PROMOTED, (voters(3),)), Expected((Role.FOLLOWER,), samples=RESTARTED)),
        ),
    ),
)

AGENT_FROZEN = Incident(
    "agent-frozen",
    "A follower's process hangs: it takes connections and never answers.",
    (
        Scene(
            "A follower is stopped by SIGSTOP. Connections to it stay open and silent.",
            (Deed("freeze", (Role.FOLLOWER,)),),
            (silent(Role.FOLLOWER, quorum="ok"), works(Role.LEADER, Role.OTHER_FOLLOWER), serves(Role.CLIENT)),
        ),
        Scene(
            "It goes on; the exporter, which asks a sick agent less often, sees it at the next attempt.",
            (Deed("thaw", (Role.FOLLOWER,)),),
            (well(SERVERS, PROMOTED, (voters(3),)),),
        ),
    ),
)

LEADER_BLACKHOLED = Incident(
    "leader-blackholed",
    "Every packet between the leader and the others is lost: it steps down, and the others go on without it.",
    (
        Scene(
            "The leader hears nobody and leads no more; the others wait for it in vain, then elect another one.",
            (Deed("cut", (Role.LEADER,)),),
            (
                alone(Role.LEADER),
                Expected((Role.LEADER,), samples=(is_("nomad_agent_leader", 0), turned("Leader")), after=ELECTED),
                works(*FOLLOWERS, after=ELECTED, samples=_ANOTHER_LEADS),
            ),
        ),
        Scene(
            "The network is whole again before gossip noticed; the old leader follows the new one.",
            (Deed("heal", (Role.LEADER,)),),
            (
                well(SERVERS, PROMOTED, (voters(3),)),
                Expected((Role.LEADER,), samples=(is_("nomad_agent_leader", 0),), after=ELECTED),
            ),
        ),
    ),
)
