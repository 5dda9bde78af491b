"""Clients that no server hears."""

from __future__ import annotations

from nomad_exporter.demo.incidents.sights import HEARTBEAT, OVERDUE, absent, failing, is_, serves, unheard, well
from nomad_exporter.demo.incidents.story import SERVERS, Ask, Deed, Incident, Needs, Role, Scene

FORGOTTEN = 35.0
"""So long a client goes on with a token that a server has judged for it."""

_UNTOLD = (
    is_("nomad_agent_up", 0),
    failing("self", "timeout"),
    absent("nomad_exporter_poll_failing", source="health"),
)
_CUT = Deed("cut", (Role.CLIENT,))
_HEAL = Deed("heal", (Role.CLIENT,))
_TOLD = "&".join(f"address={{{role}.rpc}}" for role in SERVERS)


CLIENT_CUT_OFF = Incident(
    "client-cut-off",
    "A client is cut off from every server, and calls itself healthy all the same.",
    (
        Scene(
            "Nothing is to be seen at first: the time to live of its last heartbeat is not over.",
            (_CUT,),
            (
                unheard(Role.CLIENT, after=OVERDUE, samples=(is_("nomad_agent_up"),)),
                well(SERVERS),
            ),
        ),
        Scene(
            "The way is open again, and the client is told its servers anew.",
            (_HEAL, Ask(Role.CLIENT, "PUT", f"/v1/agent/servers?{_TOLD}")),
            (serves(Role.CLIENT, after=HEARTBEAT, samples=(is_("nomad_agent_client_known_servers", 3),)),),
        ),
    ),
    Needs(acl=False),
)

CLIENT_CUT_OFF_ACL = Incident(
    "client-cut-off-acl",
    "A client with access control is cut off: it can have no token judged, and does not tell of itself any more.",
    (
        Scene(
            "For half a minute it goes on with the token that was judged; then its health alone answers.",
            (_CUT,),
            (
                unheard(Role.CLIENT, after=FORGOTTEN, samples=_UNTOLD),
                well(SERVERS),
            ),
        ),
        Scene("The way is open again.", (_HEAL,), (serves(Role.CLIENT, after=HEARTBEAT),)),
    ),
    Needs(acl=True),
)
