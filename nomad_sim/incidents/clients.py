"""Incidents with clients that cannot reach the servers."""

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
"""Seconds until a client's cached token has expired."""

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
    "A client is partitioned from all servers and still reports itself healthy.",
    (
        Step(
            "The client is partitioned. Its readiness changes only when the TTL of the last heartbeat is over.",
            (_PARTITION,),
            (
                servers_unreachable(Role.CLIENT, after=OVERDUE, samples=(equals("nomad_agent_up"),)),
                healthy(SERVERS),
            ),
        ),
        Step(
            "The partition ends, and the client's list of servers is set again.",
            (_HEAL, ApiCall(Role.CLIENT, "PUT", f"/v1/agent/servers?{_SERVER_ADDRESSES}")),
            (client_ready(Role.CLIENT, after=HEARTBEAT, samples=(equals("nomad_agent_client_known_servers", 3),)),),
        ),
    ),
    Requirements(acl=False),
)

CLIENT_CUT_OFF_ACL = Incident(
    "client-cut-off-acl",
    "With ACLs, a client partitioned from all servers cannot resolve tokens; only its health responds.",
    (
        Step(
            "The client is partitioned. When its cached token has expired, only its health responds.",
            (_PARTITION,),
            (
                servers_unreachable(Role.CLIENT, after=TOKEN_CACHE_EXPIRY, samples=_STATE_UNKNOWN),
                healthy(SERVERS),
            ),
        ),
        Step("The partition ends.", (_HEAL,), (client_ready(Role.CLIENT, after=HEARTBEAT),)),
    ),
    Requirements(acl=True),
)
