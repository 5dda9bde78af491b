"""What an incident needs of the cluster, against what there is or was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nomad_exporter.demo.incidents.story import Incident, Needs
from nomad_exporter.demo.model.agents import Agent
from nomad_exporter.demo.options import Options
from nomad_exporter.demo.versions import VERSIONS
from nomad_exporter.demo.words import counted


class Contradiction(Exception):
    """An option was chosen with which the incident cannot be played; the message names both."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a cluster is like. ``servers`` and ``clients`` are those of each region, in any order."""

    servers: tuple[int, ...]
    clients: tuple[int, ...]
    acl: bool
    tls: bool
    versions: frozenset[str]


def shape_of(agents: Mapping[str, Agent]) -> Shape:
    """Of a cluster as it is now."""
    setups = [agent.setup for agent in agents.values()]
    regions = dict.fromkeys(setup.region for setup in setups)
    servers = Counter(setup.region for setup in setups if setup.server)
    clients = Counter(setup.region for setup in setups if not setup.server)
    return Shape(
        tuple(servers[region] for region in regions),
        tuple(clients[region] for region in regions),
        any(setup.acl for setup in setups),
        any(setup.tls for setup in setups),
        frozenset(setup.version.series for setup in setups),
    )


def lacking(needs: Needs, shape: Shape) -> str:
    """What the cluster lacks, in words; nothing where the incident can be played."""
    faults = {
        f"{needs.servers} servers in each region": set(shape.servers) != {needs.servers},
        f"{counted(needs.clients, 'client')} in each region": min(shape.clients, default=0) < needs.clients,
        f"{needs.regions} regions": len(shape.servers) < needs.regions,
        "access control (--acl)": needs.acl is True and not shape.acl,
        "no access control": needs.acl is False and shape.acl,
        "TLS (--tls)": needs.tls and not shape.tls,
        f"Nomad {' or '.join(needs.versions)}": not shape.versions <= set(needs.versions),
    }
    return ", ".join(words for words, lacks in faults.items() if lacks)


def fitted(options: Options, incident: Incident, chosen: Collection[str]) -> Options:
    """The options by which the incident is played, with what it needs switched on.

    ``chosen`` are the names of the options that the user chose himself. Raises Contradiction where the incident needs
    one of them to be otherwise.
    """
    wanted = _wanted(options, incident.needs)
    for name, value in wanted.items():
        if name in chosen:
            raise Contradiction(f"{incident.name} needs {_flag(name, value)}")
    return replace(options, incident=incident.name, **wanted)


def _wanted(options: Options, needs: Needs) -> dict[str, Any]:
    """The options that must be otherwise, and how."""
    wanted: dict[str, tuple[bool, Any]] = {
        "servers": (options.servers == needs.servers, needs.servers),
        "clients": (options.clients >= needs.clients, needs.clients),
        "regions": (options.regions >= needs.regions, needs.regions),
        "acl": (needs.acl in (None, options.acl), needs.acl),
        "tls": (options.tls or not needs.tls, True),
        "version": (options.version.series in needs.versions, VERSIONS[needs.versions[0]]),
    }
    return {name: value for name, (fits, value) in wanted.items() if not fits}


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"no --{name}"
    return f"--{name} {getattr(value, 'series', value)}"
