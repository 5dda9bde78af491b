"""Which agents the demo has, and where."""

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
"""Between the ports of two agents; those for RPC and gossip follow that for HTTP, as Nomad's own do."""

SPARE_AGENTS = 3
"""For so many agents that come later there are free ports, too, where free ones are taken."""

FREE_PORTS = range(20000, 32700)
MAX_TRIES = 50

_DIRECTIONS = ("east", "west", "north", "south")


def region_names(count: int) -> tuple[str, ...]:
    """``global`` alone; several have names of their own."""
    if count == 1:
        return ("global",)
    return tuple([*_DIRECTIONS, *(f"region-{number}" for number in range(5, count + 1))][:count])


def setups(options: Options, files: CertificateFiles | None) -> list[Setup]:
    """Every agent, the servers first. With ``files`` they serve HTTPS."""
    regions = region_names(options.regions)
    servers = [(f"s{number}", region, True) for region in regions for number in range(1, options.servers + 1)]
    homes = [region for region in regions for _ in range(options.clients)]
    clients = [(f"c{number}", region, False) for number, region in enumerate(homes, 1)]
    rng = random.Random(options.seed)  # noqa: S311  # chance in a model, not a secret
    ports = [options.port + PORT_STEP * number for number in range(options.agents)]
    placed = [
        _setup(options, files, *seat, port, random_uuid(rng))
        for seat, port in zip([*servers, *clients], ports, strict=True)
    ]
    return [_with_join_addresses(setup, placed) for setup in placed]


def new_server_setup(setups: Iterable[Setup], region: str) -> Setup:
    """The setup of a server that was never there, like the others of its region and with all servers to join.

    Its ports follow the highest of the ``setups``. Raises LookupError where the region has no server.
    """
    known = list(setups)
    servers = [setup for setup in known if setup.server]
    peers = [setup for setup in servers if setup.region == region]
    if not peers:
        raise LookupError(f"there is no server in {region}")
    last = peers[-1]
    port = max(setup.http for setup in known) + PORT_STEP
    rng = random.Random(f"{last.id} {len(peers)}")  # noqa: S311  # chance in a model, not a secret
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
    """With ports that are free now wherever 0 was chosen. Raises ListenError where there are none."""
    chosen = (options.control_port, options.exporter_port, options.prometheus_port, options.port)
    block = _free_block(options) if 0 in chosen else 0
    control, exporter, prometheus, agents = (port or block + place for place, port in enumerate(chosen))
    return replace(options, control_port=control, exporter_port=exporter, prometheus_port=prometheus, port=agents)


def check_port_free(host: str, port: int) -> None:
    """Raises ListenError where the port is taken."""
    listen(Address(host, port)).close()


def _free_block(options: Options) -> int:
    """The first of as many ports as are needed, below those that the system gives to connections."""
    check_port_free(options.host, 0)
    places = (0, 1, 2, *(3 + PORT_STEP * number for number in range(options.agents + SPARE_AGENTS)))
    for _ in range(MAX_TRIES):
        block = FREE_PORTS.start + secrets.randbelow(len(FREE_PORTS) - places[-1])
        with suppress(ListenError):
            for place in places:
                check_port_free(options.host, block + place)
            return block
    raise ListenError(f"{options.host}: there are not {len(places)} free ports from {FREE_PORTS.start} on")


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
    """A server joins all servers, of every region; a client knows those of its own."""
    servers = [other for other in others if other.server]
    if setup.server:
        return replace(setup, retry_join=tuple(server.serf_address for server in servers))
    return replace(setup, servers=tuple(one.rpc_address for one in servers if one.region == setup.region))
