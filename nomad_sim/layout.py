"""The agents of the demo: their names, IDs, regions and ports."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from nomad_sim.certificates import CertificateFiles
from nomad_sim.model.rng import random_uuid
from nomad_sim.options import Options
from nomad_sim.setup import Setup
from nomad_sim.sockets import Address, ListenError, listen

PORT_STEP = 10
"""The distance between the HTTP ports of two agents; the RPC and Serf ports follow the HTTP port, as in Nomad."""

SPARE_AGENTS = 3
"""The number of later agents for which free ports are found, too."""

FREE_PORTS = range(20000, 32700)
MAX_TRIES = 50

_DIRECTIONS = ("east", "west", "north", "south")


def region_names(count: int) -> tuple[str, ...]:
    """Return the names of ``count`` regions; a single region is ``global``, Nomad's default."""
    if count == 1:
        return ("global",)
    return tuple([*_DIRECTIONS, *(f"region-{number}" for number in range(5, count + 1))][:count])


def setups(options: Options, files: CertificateFiles | None) -> list[Setup]:
    """Return the setup of every agent, servers first. With ``files`` the agents serve HTTPS."""
    regions = region_names(options.regions)
    servers = [(f"s{number}", region, True) for region in regions for number in range(1, options.servers + 1)]
    client_regions = [region for region in regions for _ in range(options.clients)]
    clients = [(f"c{number}", region, False) for number, region in enumerate(client_regions, 1)]
    rng = random.Random(options.seed)  # noqa: S311  # randomness of a simulation, not a secret
    ports = [options.port + PORT_STEP * number for number in range(options.agents)]
    agents = [
        _setup(options, files, *agent, port, random_uuid(rng))
        for agent, port in zip([*servers, *clients], ports, strict=True)
    ]
    # The last client has no name in its configuration, like most agents of real clusters.
    last = replace(agents[-1], sets_name=agents[-1].server)
    return [_with_join_addresses(setup, agents) for setup in [*agents[:-1], last]]


def new_server_setup(setups: Iterable[Setup], region: str) -> Setup:
    """Return the setup of an additional server, with the settings of its region and all servers to join.

    The server's ports follow the highest port of ``setups``. Raises LookupError if the region has no server.
    """
    known = list(setups)
    servers = [setup for setup in known if setup.server]
    peers = [setup for setup in servers if setup.region == region]
    if not peers:
        raise LookupError(f"region {region} has no server")
    last = peers[-1]
    port = max(setup.http for setup in known) + PORT_STEP
    rng = random.Random(f"{last.id} {len(peers)}")  # noqa: S311  # randomness of a simulation, not a secret
    return replace(
        last,
        name=f"s{len(peers) + 1}",
        id=random_uuid(rng),
        http=port,
        rpc=port + 1,
        serf=port + 2,
        retry_join=tuple(server.serf_address for server in servers),
    )


def exporter_name(setup: Setup, multi_region: bool) -> str:
    """Return the exporter's name of an agent: its own name, or its full name if there are several regions."""
    return setup.full_name if multi_region else setup.name


def resolve_ports(options: Options) -> Options:
    """Return ``options`` with a free port in place of each 0. Raises ListenError if no ports are free."""
    ports = (options.control_port, options.exporter_port, options.prometheus_port, options.port)
    block = _free_block(options) if 0 in ports else 0
    control, exporter, prometheus, agents = (port or block + offset for offset, port in enumerate(ports))
    return replace(options, control_port=control, exporter_port=exporter, prometheus_port=prometheus, port=agents)


def check_port_free(host: str, port: int) -> None:
    """Raise PortInUse if the port is in use, and ListenError if it cannot be listened on."""
    listen(Address(host, port)).close()


def _free_block(options: Options) -> int:
    """Return the first port of a free block for the whole demo, below the ports that the system assigns itself."""
    check_port_free(options.host, 0)
    offsets = (0, 1, 2, *(3 + PORT_STEP * number for number in range(options.agents + SPARE_AGENTS)))
    for _ in range(MAX_TRIES):
        block = FREE_PORTS.start + secrets.randbelow(len(FREE_PORTS) - offsets[-1])
        with suppress(ListenError):
            for offset in offsets:
                check_port_free(options.host, block + offset)
            return block
    raise ListenError(f"cannot find {len(offsets)} free ports on {options.host} from port {FREE_PORTS.start}")


def _setup(
    options: Options, files: CertificateFiles | None, name: str, region: str, server: bool, port: int, uuid: str
) -> Setup:
    return Setup(
        name,
        uuid,
        host=options.host,
        http=port,
        rpc=port + 1,
        serf=port + 2,
        server=server,
        client=not server,
        region=region,
        version=options.version,
        bootstrap_expect=options.servers if server else 0,
        acl=options.acl,
        tls=files.tls("server" if server else "client", region, options.verify_https_client) if files else None,
        enable_debug=options.enable_debug,
        encrypted=options.encrypted,
    )


def _with_join_addresses(setup: Setup, others: Sequence[Setup]) -> Setup:
    """Return ``setup`` with the servers to join: all servers for a server, those of its region for a client."""
    servers = [other for other in others if other.server]
    if setup.server:
        return replace(setup, retry_join=tuple(server.serf_address for server in servers))
    return replace(setup, servers=tuple(server.rpc_address for server in servers if server.region == setup.region))
