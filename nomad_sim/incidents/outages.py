"""So many agents are lost that nothing works any more, until they are back."""

from __future__ import annotations

from nomad_exporter.demo.incidents.sights import (
    CLEANED,
    ELECTED,
    HEARTBEAT,
    OVERDUE,
    PROMOTED,
    RESTARTED,
    dead,
    fell,
    healed,
    is_,
    kill,
    leaderless,
    serves,
    start,
    turned,
    unheard,
    voters,
    well,
    works,
)
from nomad_exporter.demo.incidents.story import (
    FAR,
    FAR_SERVERS,
    FOLLOWERS,
    HOME,
    SERVERS,
    Expected,
    Incident,
    Needs,
    Role,
    Scene,
)

_CANDIDATE = is_("nomad_agent_raft_state", state="Candidate")

QUORUM_LOST = Incident(
    "quorum-lost",
    "Two of three servers die: no leader, no work, until one of them is back.",
    (
        Scene(
            "The leader and a follower are killed; the last server lives, but knows no leader.",
            (kill(Role.LEADER, Role.FOLLOWER),),
            (
                dead(Role.LEADER, Role.FOLLOWER, quorum="quorum_lost"),
                leaderless(Role.OTHER_FOLLOWER),
                Expected((Role.OTHER_FOLLOWER,), samples=(_CANDIDATE,), after=ELECTED, passing=True),
            ),
        ),
        Scene(
            "No client is heard any more, though each calls itself healthy.",
            (),
            (unheard(Role.CLIENT, after=OVERDUE, samples=(is_("nomad_agent_up"),)),),
        ),
        Scene(
            "The follower is started again: two of three elect a leader, and the clients are heard again.",
            (start(Role.FOLLOWER),),
            (
                works(*FOLLOWERS, after=2 * ELECTED),
                Expected((Role.OTHER_FOLLOWER,), samples=(turned("Candidate"), *healed("server")), after=2 * ELECTED),
                serves(Role.CLIENT, after=ELECTED + HEARTBEAT),
            ),
        ),
        Scene(
            "The old leader is started again; when all vote, any of them may be stopped.",
            (start(Role.LEADER),),
            (well(SERVERS, PROMOTED, (voters(3),)), Expected((Role.LEADER, Role.FOLLOWER), samples=RESTARTED)),
        ),
    ),
)

REGION_LOST = Incident(
    "region-lost",
    "All servers of a region and a client lose their power; the other region goes on and notices.",
    (
        Scene(
            "The servers of the second region and a client are killed. The first region needs none of them.",
            (kill(*FAR),),
            (dead(*FAR_SERVERS, quorum="unknown"), dead(Role.FAR_CLIENT), well(SERVERS), serves(Role.CLIENT)),
        ),
        Scene(
            "After half a minute gossip tells that its servers failed, and that one region is left.",
            (),
            (well(SERVERS, CLEANED, (is_("nomad_agent_known_regions"), *fell(*FAR_SERVERS))), serves(Role.CLIENT)),
        ),
        Scene(
            "The power is back: the region elects a leader and is known again.",
            (start(*FAR),),
            (
                well(FAR_SERVERS, 2 * PROMOTED, RESTARTED),
                well(SERVERS, PROMOTED, (is_("nomad_agent_known_regions", 2),)),
                serves(Role.FAR_CLIENT, after=PROMOTED),
            ),
        ),
    ),
    Needs(regions=2),
)

FULL_RESTART = Incident(
    "full-restart",
    "All servers and a client die at once and are started again.",
    (
        Scene(
            "All are killed: nothing fresh is known of the cluster any more.",
            (kill(*HOME),),
            (dead(*SERVERS, quorum="unknown"), dead(Role.CLIENT)),
        ),
        Scene(
            "All are started again: the servers elect a leader, and the client registers.",
            (start(*HOME),),
            (
                well(SERVERS, 2 * PROMOTED, (voters(3), *RESTARTED)),
                serves(Role.CLIENT, after=PROMOTED, samples=(is_("nomad_agent_client_registered"), *RESTARTED)),
            ),
        ),
    ),
)
