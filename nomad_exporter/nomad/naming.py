"""Names of nodes that agents do not report: requested for a client, and for an agent whose address has no host.

Without ``name`` in its configuration, an agent reports an empty node name. The host name that a client then uses is
known from its node only. An agent behind a Unix socket is named after its node.
"""

from __future__ import annotations

import re

import msgspec
from msgspec.json import Decoder

from nomad_exporter import clock
from nomad_exporter.nomad.agent import Agent
from nomad_exporter.nomad.connections import Network
from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.lenient import ERRORS, LenientDecoder
from nomad_exporter.nomad.models import AgentSelf
from nomad_exporter.nomad.sources import MIB, SELF, Reply
from nomad_exporter.nomad.sources.source import Send
from nomad_exporter.nomad.tls import Contexts
from nomad_exporter.nomad.transport import Transport

SECONDS = 2.0
"""Timeout of ``node_name``, for all its requests together."""

_NODE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _Body(msgspec.Struct, rename="pascal"):
    name: msgspec.Raw = msgspec.Raw()


_BODY = Decoder(_Body)


def request_name(node_id: str, send: Send, seconds: float) -> str:
    """Request the node with this ID from its own client, and return the name of the node.

    Returns an empty text if the ID is no UUID, and if there is no usable response within ``seconds``.
    """
    # The ID becomes part of a path, and an agent can send anything.
    if not _NODE_ID.fullmatch(node_id):
        return ""
    # The client forwards the request to a server; with ?stale, that server needs no leader.
    reply = send(f"/v1/node/{node_id}?stale", seconds, MIB)
    return "" if isinstance(reply, Failure) else decode_name(reply)


def decode_name(reply: Reply) -> str:
    """Return the name in a reply; empty if the reply is not the answer of an agent."""
    if reply.status != 200:
        return ""
    try:
        return LenientDecoder().text(_BODY.decode(reply.body).name, "Name")
    except ERRORS:
        return ""


def node_name(agent: Agent) -> str:
    """Return the node name of ``agent``, else its node ID; empty if it does not answer within ``SECONDS``.

    Both are the same for every exporter that runs on the node.
    """
    transport = Transport(agent, Contexts(), Network())
    began = clock.now()
    answer = SELF.poll(transport.get, clock.now, SECONDS)
    remaining = SECONDS - clock.now().since(began)
    name = _name_in(answer, transport.get, remaining) if isinstance(answer, AgentSelf) else ""
    transport.close()
    return name


def _name_in(answer: AgentSelf, send: Send, seconds: float) -> str:
    # A server reports its name in gossip, even if its configuration sets none.
    server_name = answer.member.name.removesuffix(f".{answer.region}") if answer.member else ""
    return answer.node_name or server_name or request_name(answer.node_id, send, seconds) or answer.node_id
