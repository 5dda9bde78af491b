"""Which agents the demo has, and where."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from nomad_exporter.demo.certificates import Files
from nomad_exporter.demo.model.chance import some_id
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.setup import Setup
from nomad_exporter.serving.listen import CannotListen, Listen, listen

STEP = 10
"""Between the ports of two agents; those for RPC and gossip follow that for HTTP, as Nomad's own do."""

SPARE = 3
"""For so many agents that come later there are free ports, too, where free ones are taken."""

FREE_PORTS = range(20000, 32700)
TRIES = 50

_DIRECTIONS = ("east", "west", "north", "south")


def region_names(count: int) -> tuple[str, ...]:
    """``global`` alone; several have names of their own."""
    if count == 1:
        return ("global",)
    return tuple([*_DIRECTIONS, *(f"region-{number}" for number in range(5, count + 1))][:count])


def setups(options: Options, files: Files | None) -> list[Setup]:
    """Every agent, the servers first. With ``files`` they serve HTTPS."""
    regions = region_names(options.regions)
    servers = [(f"s{number}", region, True) for region in regions for number in range(1, options.servers + 1)]
    homes = [region for region in regions for _ in range(options.clients)]
    clients = [(f"c{number}", region, False) for number, region in enumerate(homes, 1)]
    chance = random.Random(options.seed)  # noqa: S311  # chance in a model, not a secret
    ports = [options.port + STEP * number for number in range(options.agents)]
    placed = [
        _setup(options, files, *seat, port, some_id(chance))
        for seat, port in zip([*servers, *clients], ports, strict=True)
    ]
    return [_knowing(setup, placed) for setup in placed]


def one_more(setups: Iterable[Setup], region: str) -> Setup:
    """The setup of a server that was never there, like the others of its region and with all servers to join.

    Its ports follow the highest of the ``setups``. Raises LookupError where the region has no server.
    """
    known = list(setups)
    servers = [setup for setup in known if setup.server]
    peers = [setup for setup in servers if setup.region == region]
    if not peers:
        raise LookupError(f"there is no server in {region}")
    last = peers[-1]
    port = max(setup.http for setup in known) + STEP
    chance = random.Random(f"{last.id} {len(peers)}")  # noqa: S311  # chance in a model, not a secret
    return replace(
        last,
        name=f"s{len(peers) + 1}",
        id=some_id(chance),
        http=port,
        rpc=port + 1,
        serf=port + 2,
        retry_join=tuple(server.serf_address for server in servers),
    )


def watched_name(setup: Setup, several: bool) -> str:
    """What the exporter calls an agent: its own name; where there are ``several`` regions, a server's with its own."""
    return setup.full_name if several else setup.name


def with_ports(options: Options) -> Options:
    """With ports that are free now wherever 0 was chosen. Raises CannotListen where there are none."""
    chosen = (options.control_port, options.exporter_port, options.prometheus_port, options.port)
    block = _free_block(options) if 0 in chosen else 0
    control, exporter, prometheus, agents = (port or block + place for place, port in enumerate(chosen))
    return replace(options, control_port=control, exporter_port=exporter, prometheus_port=prometheus, port=agents)


def check_free(host: str, port: int) -> None:
    """Raises CannotListen where the port is taken."""
    listen(Listen(host, port)).close()


def _free_block(options: Options) -> int:
    """The first of as many ports as are needed, below those that the system gives to connections."""
    check_free(options.host, 0)
    places = (0, 1, 2, *(3 + STEP * number for number in range(options.agents + SPARE)))
    for _ in range(TRIES):
        block = FREE_PORTS.start + secrets.randbelow(len(FREE_PORTS) - places[-1])
        with suppress(CannotListen):
            for place in places:
                check_free(options.host, block + place)
            return block
    raise CannotListen(f"{options.host}: there are not {len(places)} free ports from {FREE_PORTS.start} on")


def _setup(options: Options, files: Files | None, name: str, region: str, server: bool, port: int, uuid: str) -> Setup:
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


def _knowing(setup: Setup, others: Sequence[Setup]) -> Setup:
    """A server joins all servers, of every region; a client knows those of its own."""
    servers = [other for other in others if other.server]
    if setup.server:
        return replace(setup, retry_join=tuple(server.serf_address for server in servers))
    return replace(setup, servers=tuple(one.rpc_address for one in servers if one.region == setup.region))
