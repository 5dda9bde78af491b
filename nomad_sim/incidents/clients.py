"""Clients that no server hears."""

from __future__ import annotations

from nomad_sim.incidents.expectations import (
    HEARTBEAT,
    OVERDUE,
    absent,
    client_ready,
    equals,
    healthy,
    poll_failing,
    servers_unreachable,
)
from nomad_sim.incidents.scenario import SERVERS, Action, ApiCall, Incident, Requirements, Role, Step

TOKEN_CACHE_EXPIRY = 35.0
"""So long a client goes on with a token that a server has judged for it."""

_STATE_UNKNOWN = (
    equals("nomad_agent_up", 0),
    poll_failing("self", "timeout"),
    absent("nomad_exporter_poll_failing", source="health"),
)
_PARTITION = Action("partition", (Role.CLIENT,))
_HEAL = Action("heal", (Role.CLIENT,))
_SERVER_ADDRESSES = "&".join(f"address={{{role}.rpc}}" for role in SERVERS)


CLIENT_CUT_OFF = Incident(
    "client-cut-off",
    "A client is cut off from every server, and calls itself healthy all the same.",
    (
        Step(
            "Nothing is to be seen at first: the time to live of its last heartbeat is not over.",
            (_PARTITION,),
            (
                servers_unreachable(Role.CLIENT, after=OVERDUE, samples=(equals("nomad_agent_up"),)),
                healthy(SERVERS),
            ),
        ),
        Step(
            "The way is open again, and the client is told its servers anew.",
            (_HEAL, ApiCall(Role.CLIENT, "PUT", f"/v1/agent/servers?{_SERVER_ADDRESSES}")),
            (client_ready(Role.CLIENT, after=HEARTBEAT, samples=(equals("nomad_agent_client_known_servers", 3),)),),
        ),
    ),
    Requirements(acl=False),
)

CLIENT_CUT_OFF_ACL = Incident(
    "client-cut-off-acl",
    "A client with access control is cut off: it can have no token judged, and does not tell of itself any more.",
    (
        Step(
            "For half a minute it goes on with the token that was judged; then its health alone answers.",
            (_PARTITION,),
            (
                servers_unreachable(Role.CLIENT, after=TOKEN_CACHE_EXPIRY, samples=_STATE_UNKNOWN),
                healthy(SERVERS),
            ),
        ),
        Step("The way is open again.", (_HEAL,), (client_ready(Role.CLIENT, after=HEARTBEAT),)),
    ),
    Requirements(acl=True),
)
