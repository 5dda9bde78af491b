"""The source ``autopilot``: the health of a region's servers, as determined by the leader."""

from __future__ import annotations

import msgspec
from msgspec.json import Decoder

from nomad_exporter.nomad.lenient import BOOLEAN, INTEGER, LenientDecoder, TooMany
from nomad_exporter.nomad.models import Autopilot, AutopilotServer, Role
from nomad_exporter.nomad.sources.source import KIB, Reply, Source

SERVERS_LIMIT = 100
"""Maximum number of servers; more than any raft configuration has. A longer answer is rejected."""


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


_BODY = Decoder(_Body)
_SERVER = Decoder(_Server)


def decode(reply: Reply) -> Autopilot:
    """Decode a reply, with the servers sorted by name.

    Raises ValueError or a msgspec error if the body has no verdict, and TooMany for more than ``SERVERS_LIMIT``
    servers.
    """
    content = _BODY.decode(reply.body)
    raw_servers = content.servers or ()  # A leader whose autopilot has not run yet returns null.
    if len(raw_servers) > SERVERS_LIMIT:
        raise TooMany(f"more than {SERVERS_LIMIT} servers")
    decoder = LenientDecoder()
    tolerance = decoder.read(content.failure_tolerance, INTEGER, "FailureTolerance")
    # Raft has every ID and every address once; the labels of a series are the name and the address.
    servers: list[AutopilotServer] = []
    ids: set[str] = set()
    labels: set[tuple[str, str]] = set()
    for raw in raw_servers:
        server = _decode_server(raw, decoder)
        if server is None or server.id in ids or _name_and_address(server) in labels:
            decoder.mark_invalid("Servers[]")
        else:
            servers.append(server)
            ids.add(server.id)
            labels.add(_name_and_address(server))
    servers.sort(key=_name_and_address)
    return Autopilot(content.healthy, tolerance, tuple(servers), tuple(decoder.invalid_fields))


def _decode_server(raw: msgspec.Raw, decoder: LenientDecoder) -> AutopilotServer | None:
    """Decode one server; None if its ID or its health is missing."""
    fields = decoder.read(raw, _SERVER, "Servers[]") or _Server()
    server_id = decoder.text(fields.id, "Servers[].ID")
    healthy = decoder.read(fields.healthy, BOOLEAN, "Servers[].Healthy")
    if not server_id or healthy is None:
        return None
    return AutopilotServer(
        id=server_id,
        name=decoder.text(fields.name, "Servers[].Name"),
        address=decoder.text(fields.address, "Servers[].Address"),
        healthy=healthy,
        voter=decoder.read(fields.voter, BOOLEAN, "Servers[].Voter") or False,
    )


def _name_and_address(server: AutopilotServer) -> tuple[str, str]:
    return server.name, server.address


AUTOPILOT = Source(
    name="autopilot",
    path="/v1/operator/autopilot/health",
    decode=decode,
    body_limit=256 * KIB,  # An answer with 100 servers has 60 kB.
    statuses=(200, 429),  # The status is 429 if a server is unhealthy.
    permission="operator:read",
    verdicts=("quorum",),
    role=Role.SERVER,
    # A server forwards the request to the leader, and responds only after seconds while there is none.
    needs_leader=True,
    optional=True,
)
