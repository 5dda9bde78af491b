"""The node of a client: no source that is polled, but the name of a client that does not report its own.

Without ``name`` in its configuration, an agent reports an empty node name. The host name that a client then uses is
known from its node only.
"""

from __future__ import annotations

import re

import msgspec
from msgspec.json import Decoder

from nomad_exporter.nomad.failures import Failure
from nomad_exporter.nomad.lenient import ERRORS, LenientDecoder
from nomad_exporter.nomad.sources.source import MIB, Reply, Send

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
