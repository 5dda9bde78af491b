"""``/v1/operator/autopilot/health``, from bytes to ``Autopilot``: the same JSON under 200 and 429."""

from __future__ import annotations

import msgspec

from nomad_exporter.nomad.lenient import LenientDecoder, TooMany
from nomad_exporter.nomad.models import Autopilot, AutopilotServer

SERVERS_LIMIT = 100
"""More servers than any raft configuration has; an answer with more is refused whole."""


class _Body(msgspec.Struct, rename="pascal"):
    healthy: bool
    failure_tolerance: msgspec.Raw = msgspec.Raw()
    servers: list[msgspec.Raw] | None = None


class _Server(msgspec.Struct, rename="pascal"):
    id: msgspec.Raw = msgspec.field(name="ID", default=msgspec.Raw())
    name: msgspec.Raw = msgspec.Raw()
    address: msgspec.Raw = msgspec.Raw()
    healthy: msgspec.Raw = msgspec.Raw()
    voter: msgspec.Raw = msgspec.Raw()


def decode(body: bytes) -> Autopilot:
    """The answer in ``body``, its servers by name. Raises ValueError or a msgspec error where it is no verdict.

    A ``null`` list is that of a leader whose autopilot has not looked yet.
    """
    told = msgspec.json.decode(body, type=_Body)
    if len(told.servers or ()) > SERVERS_LIMIT:
        raise TooMany(f"more than {SERVERS_LIMIT} servers")
    parts = LenientDecoder()
    tolerance = parts.read(told.failure_tolerance, int, "FailureTolerance")
    servers: list[AutopilotServer] = []
    for raw in told.servers or ():
        found = _server(raw, parts)
        if found is None or any(_are_one(found, other) for other in servers):
            parts.mark_invalid("Servers[]")
        else:
            servers.append(found)
    return Autopilot(told.healthy, tolerance, tuple(sorted(servers, key=_place)), tuple(parts.invalid_fields))


def _server(raw: msgspec.Raw, parts: LenientDecoder) -> AutopilotServer | None:
    """One server; None where it has no ID, or nothing is told of its health."""
    told = parts.read(raw, _Server, "Servers[]") or _Server()
    server_id = parts.text(told.id, "Servers[].ID")
    healthy = parts.read(told.healthy, bool, "Servers[].Healthy")
    if not server_id or healthy is None:
        return None
    return AutopilotServer(
        id=server_id,
        name=parts.text(told.name, "Servers[].Name"),
        address=parts.text(told.address, "Servers[].Address"),
        healthy=healthy,
        voter=parts.read(told.voter, bool, "Servers[].Voter") or False,
    )


def _are_one(server: AutopilotServer, other: AutopilotServer) -> bool:
    """Raft has every ID and every address once; servers that share their place would be one series."""
    return server.id == other.id or _place(server) == _place(other)


def _place(server: AutopilotServer) -> tuple[str, str]:
    return server.name, server.address
