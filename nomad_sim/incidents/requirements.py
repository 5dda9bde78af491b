"""The requirements of an incident, compared with a running cluster or with options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nomad_sim.incidents.scenario import Incident, Requirements
from nomad_sim.model.agents import Agent
from nomad_sim.options import Options
from nomad_sim.versions import VERSIONS


class OptionConflict(Exception):
    """A conflict between an incident and an option; the message names both."""


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """The size and the features of a cluster; ``servers`` and ``clients`` are counts per region."""

    servers: tuple[int, ...]
    clients: tuple[int, ...]
    acl: bool
    tls: bool
    versions: frozenset[str]


def cluster_shape(agents: Mapping[str, Agent]) -> ClusterShape:
    """Return the shape of a cluster with these agents."""
    setups = [agent.setup for agent in agents.values()]
    regions = dict.fromkeys(setup.region for setup in setups)
    servers = Counter(setup.region for setup in setups if setup.server)
    clients = Counter(setup.region for setup in setups if not setup.server)
    return ClusterShape(
        tuple(servers[region] for region in regions),
        tuple(clients[region] for region in regions),
        any(setup.acl for setup in setups),
        any(setup.tls for setup in setups),
        frozenset(setup.version.series for setup in setups),
    )


def missing_requirements(requirements: Requirements, shape: ClusterShape) -> str:
    """Return the requirements that a cluster does not meet as text, empty if the incident can run."""
    missing = {
        f"{requirements.servers} servers in each region": set(shape.servers) != {requirements.servers},
        f"{requirements.clients} or more clients in each region": min(shape.clients, default=0) < requirements.clients,
        f"{requirements.regions} or more regions": len(shape.servers) < requirements.regions,
        "ACLs (--acl)": requirements.acl is True and not shape.acl,
        "no ACLs": requirements.acl is False and shape.acl,
        "TLS (--tls)": requirements.tls and not shape.tls,
        f"Nomad {' or '.join(requirements.versions)}": not shape.versions <= set(requirements.versions),
    }
    return ", ".join(text for text, is_missing in missing.items() if is_missing)


def fit_options(options: Options, incident: Incident, chosen: Collection[str]) -> Options:
    """Return ``options`` with the incident and its requirements.

    ``chosen`` are the names of the options that the user set. Raises OptionConflict if one of them has to change.
    """
    required = _required_options(options, incident.requirements)
    for name, value in required.items():
        if name in chosen:
            raise OptionConflict(f"{incident.name} requires {_flag(name, value)}")
    return replace(options, incident=incident.name, **required)


def _required_options(options: Options, requirements: Requirements) -> dict[str, Any]:
    """Return the options that have to change, with the required values."""
    required: dict[str, tuple[bool, Any]] = {
        "servers": (options.servers == requirements.servers, requirements.servers),
        "clients": (options.clients >= requirements.clients, requirements.clients),
        "regions": (options.regions >= requirements.regions, requirements.regions),
        "acl": (requirements.acl in (None, options.acl), requirements.acl),
        "tls": (options.tls or not requirements.tls, True),
        "version": (options.version.series in requirements.versions, VERSIONS[requirements.versions[0]]),
    }
    return {name: value for name, (fits, value) in required.items() if not fits}


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"a cluster without --{name}"
    return f"--{name} {getattr(value, 'series', value)}"
