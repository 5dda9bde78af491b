"""The fixed limits of the exporter, for the table in docs/configuration.md: what an agent or a client can cost."""

from __future__ import annotations

from dataclasses import dataclass

from nomad_exporter import app, logs
from nomad_exporter.metrics import render
from nomad_exporter.nomad import connections, durations, lenient, resolver, stats, transport
from nomad_exporter.nomad.sources import SOURCES, agent_self, autopilot, format_size, health, members
from nomad_exporter.polling import snapshot, timetable, transitions
from nomad_exporter.server import protocol
from nomad_exporter.web import routes


@dataclass(frozen=True, slots=True)
class Limit:
    """A fixed limit: what is limited, its value, and what happens beyond it."""

    subject: str
    value: str
    beyond: str


_INVALID = "the value is an invalid field: left out, and counted by `nomad_exporter_poll_invalid_fields`"
_OMITTED = "the others are left out, and counted by `nomad_exporter_poll_omitted_values`"
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
    Limit("bytes of a name, ID, address or other text", str(lenient.TEXT_LIMIT), _INVALID),
    Limit("characters of a health message", str(health.MESSAGE_LIMIT), "the message is truncated"),
    Limit(
        "servers in a Raft configuration",
        str(agent_self.RAFT_SERVERS_LIMIT),
        f"{_INVALID}; likewise with empty or duplicate IDs or addresses, which Raft refuses",
    ),
    Limit("gossip members of one answer", str(members.LISTED_LIMIT), _TOO_LARGE),
    Limit("gossip members of one agent", str(members.MEMBERS_LIMIT), f"{_OMITTED}; alive members come first"),
    Limit("regions of these members", str(members.REGIONS_LIMIT), f"`nomad_agent_members` has no others; {_OMITTED}"),
    Limit("servers of one autopilot answer", str(autopilot.SERVERS_LIMIT), _TOO_LARGE),
    Limit("unknown stats of one answer", str(agent_self.UNKNOWN_LIMIT), _OMITTED),
    Limit("unknown stats of one agent whose kind is learned", str(stats.KINDS_LIMIT), "the others count as numbers"),
    Limit(
        "families of unknown stats on one page",
        str(render.UNKNOWN_LIMIT),
        "the others are left out, and counted by `nomad_exporter_omitted_families`",
    ),
    Limit("distinct series of one agent in an hour, those without labels apart", str(render.SERIES_PER_HOUR), _OMITTED),
    Limit("regions of one agent in an hour", str(snapshot.REGIONS_PER_HOUR), "the last one stays in use"),
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
    Limit(
        "time that a client waits for a reload",
        durations.text(routes.RELOAD_SECONDS),
        "503; the reload goes on",
    ),
    Limit(
        "time for a connection to an agent",
        f"half of the timeout, or {durations.text(connections.MIN_CONNECT_SECONDS)} if that is more and the timeout "
        "allows it",
        "the poll fails with the reason `timeout`",
    ),
    Limit(
        "host names that are looked up at the same time",
        str(resolver.MAX_LOOKUPS),
        "the poll fails with the reason `dns`",
    ),
    Limit("polls that run at the same time", f"{timetable.CAPACITY:,}", "the others are late"),
    Limit(
        "polls that run at the same time, of sources that timed out the last time",
        str(timetable.CAPACITY - timetable.RESERVE),
        "the others are late",
    ),
    Limit(
        "pause between polls of a source that times out",
        durations.text(timetable.MAX_BACKOFF_SECONDS),
        "no longer, unless the interval is",
    ),
    Limit("new agents whose polls start in a second", str(timetable.RAMP_PER_SECOND // 3), "the others start later"),
    Limit(
        "open files left to everything but polls",
        str(app.RESERVED_FILES),
        "the poll fails with the reason `internal`",
    ),
    Limit(
        "log lines that wait to be written",
        f"{logs.MAX_LINES:,}",
        "the line is dropped, and counted by `nomad_exporter_log_lines_dropped_total`",
    ),
)
"""The rows of the table, in its order."""
