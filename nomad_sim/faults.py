"""Faults and their repairs, for the control page and for incidents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from nomad_sim.model.agents import Agent, State
from nomad_sim.model.cluster import Cluster
from nomad_sim.runtime import ClusterServer
from nomad_sim.sockets import ListenError
from nomad_sim.versions import VERSIONS

OLDER_VERSION = VERSIONS["1.10"]
"""The version of an agent after ``downgrade``."""

EXPORTER_TOKEN = "monitoring"  # noqa: S105  # a name, not a secret
"""The name of the exporter's token."""


class ConflictError(Exception):
    """A request that conflicts with the current state of the cluster."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault or its repair: the function that applies the fault, and the agents to which it can be applied.

    ``server_only`` and ``tls_only`` restrict the fault to servers and to agents that serve HTTPS.
    """

    apply: Callable[[ClusterServer, str], Awaitable[None]]
    states: frozenset[State] = field(default_factory=lambda: frozenset(State))
    server_only: bool = False
    tls_only: bool = False


def _cluster_method(inject: Callable[[Cluster, str], None]) -> Callable[[ClusterServer, str], Awaitable[None]]:
    async def apply(server: ClusterServer, name: str) -> None:
        inject(server.cluster, name)

    return apply


_ALIVE = frozenset({State.RUNNING, State.PAUSED})
_RUNNING = frozenset({State.RUNNING})

FAULTS: Mapping[str, Fault] = {
    "kill": Fault(_cluster_method(Cluster.kill), _ALIVE),
    "start": Fault(_cluster_method(Cluster.start), frozenset({State.DEAD})),
    "pause": Fault(_cluster_method(Cluster.pause), _RUNNING),
    "resume": Fault(_cluster_method(Cluster.resume), frozenset({State.PAUSED})),
    "leave": Fault(_cluster_method(Cluster.leave), _RUNNING, server_only=True),
    "partition": Fault(_cluster_method(lambda cluster, name: cluster.partition(name, cluster.world.agents))),
    "heal": Fault(_cluster_method(Cluster.heal)),
    "expire-certificate": Fault(ClusterServer.expire_certificate, _ALIVE, tls_only=True),
    "renew-certificate": Fault(ClusterServer.renew_certificate, _ALIVE, tls_only=True),
    "downgrade": Fault(lambda server, name: server.restart(name, version=OLDER_VERSION), _ALIVE),
    "disable-gossip-encryption": Fault(
        lambda server, name: server.restart(name, encrypted=False), _ALIVE, server_only=True
    ),
    "restart": Fault(ClusterServer.restart, _ALIVE),
    "remove": Fault(ClusterServer.remove),
}
"""Faults and their repairs by name.

``partition`` drops all packets between an agent and the others. ``restart`` starts an agent with its initial setup,
``downgrade`` with an older version, ``disable-gossip-encryption`` without the gossip key. ``remove`` kills an agent for
good: the exporter no longer monitors it.
"""

CLUSTER_FAULTS: Mapping[str, Callable[[ClusterServer], None]] = {
    "revoke-token": lambda server: server.revoke_token(EXPORTER_TOKEN),
    "restore-token": lambda server: server.restore_token(EXPORTER_TOKEN),
}
"""Faults of the cluster as a whole: the exporter's token is revoked or restored."""


def available_faults(agent: Agent) -> list[str]:
    """Return the names of the faults that can be applied to an agent in its current state."""
    return [name for name in FAULTS if not _conflict(agent, name)]


async def inject(server: ClusterServer, name: str, fault_name: str) -> None:
    """Apply a fault to the agent ``name``.

    Raises ConflictError if the agent's state excludes the fault, or if the agent's port is in use by now.
    """
    conflict = _conflict(server.cluster.world.agents[name], fault_name)
    if conflict:
        raise ConflictError(conflict)
    try:
        await FAULTS[fault_name].apply(server, name)
        await server.tick()
    except ListenError as error:
        server.cluster.kill(name)
        raise ConflictError(str(error)) from None


def inject_cluster_fault(server: ClusterServer, fault_name: str) -> None:
    """Apply a fault to the cluster as a whole. Raises ConflictError if the cluster has no ACLs."""
    try:
        CLUSTER_FAULTS[fault_name](server)
    except LookupError:
        raise ConflictError(f"{fault_name} requires ACLs (--acl)") from None


def _conflict(agent: Agent, fault_name: str) -> str:
    """Return why a fault cannot be applied to an agent, or an empty text."""
    fault = FAULTS[fault_name]
    if agent.state not in fault.states:
        return f"{agent.name} is {agent.state.value}"
    if fault.server_only and agent.server is None:
        return f"{fault_name} requires a server ({agent.name} is a client)"
    return f"{fault_name} requires TLS (--tls)" if fault.tls_only and agent.setup.tls is None else ""
