"""The fixed limits of the exporter, for the table in docs/configuration.md: what an agent or a client can cost."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter.metrics import render
from nomad_exporter.nomad import connections, durations, lenient, stats, transport
from nomad_exporter.nomad.sources import SOURCES, agent_self, autopilot, format_size, health, members
from nomad_exporter.polling import transitions
from nomad_exporter.server import protocol
from nomad_exporter.web import routes


@dataclass(frozen=True, slots=True)
class Limit:
    """A fixed limit: what is limited, its value, and what happens beyond it."""

    subject: str
    value: str
    beyond: str


_INVALID = "the value is an invalid field: left out, and counted by `nomad_exporter_poll_invalid_fields`"
_TOO_LARGE = "the poll fails with the reason `too_large`"

LIMITS = (
    *(
        Limit(f"body of a response to `{source.path}`", format_size(source.body_limit), _TOO_LARGE)
        for source in SOURCES
    ),
    Limit(
        "bytes of a response before its body; the framing of chunks counts as the body",
        format_size(connections.HEAD_BYTES),
        _TOO_LARGE,
    ),
    Limit(
        "framing of a chunked body beyond the size of the body",
        format_size(transport.FRAMING_BYTES),
        "the poll fails with the reason `protocol`",
    ),
    Limit("characters of a name, ID, address or other text", str(lenient.TEXT_LIMIT), _INVALID),
    Limit("characters of a health message", str(health.MESSAGE_LIMIT), "the message is truncated"),
    Limit(
        "servers in a Raft configuration",
        str(agent_self.RAFT_SERVERS_LIMIT),
        f"{_INVALID}; likewise with empty or duplicate IDs or addresses, which Raft refuses",
    ),
    Limit("gossip members of one answer", str(members.MEMBERS_LIMIT), _TOO_LARGE),
    Limit("servers of one autopilot answer", str(autopilot.SERVERS_LIMIT), _TOO_LARGE),
    Limit("unknown stats of one answer", str(agent_self.UNKNOWN_LIMIT), "the others are left out"),
    Limit("unknown stats of one agent whose kind is learned", str(stats.KINDS_LIMIT), "the others are left out"),
    Limit("families of unknown stats on one page", str(render.UNKNOWN_LIMIT), "the others are left out"),
    Limit("log lines of one answer", str(transitions.MAX_LOG_LINES), "one line with the number of the others"),
    Limit("target and headers of a request", format_size(protocol.MAX_HEAD_BYTES), "431, and the connection is closed"),
    Limit("headers of a request", str(protocol.MAX_HEADERS), "431, and the connection is closed"),
    Limit(
        "time for the headers of a request",
        durations.text(protocol.Protocol.header_seconds),
        "the connection is closed",
    ),
    Limit("requests that wait on one connection", str(protocol.MAX_PIPELINED), "the connection is closed"),
    Limit("parameters in a query", str(routes.MAX_PARAMETERS), "400"),
)
"""The rows of the table, in its order."""
